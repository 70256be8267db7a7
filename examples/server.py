"""A small HTTP server that finds objects in the pictures that are sent to it.

``pip install fastapi uvicorn``, ``python server.py model.safetensors`` (or an exported ``.onnx``), and then
``curl --data-binary @photo.jpg 'http://localhost:8000/detect?score=0.5'``. Pictures are decoded and searched one after the
other in a thread of their own; a few may wait. Bad input is answered with 4xx, too much at once with 503, and what takes too
long with 408 and 504.
"""

from __future__ import annotations

import asyncio
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Annotated, Any

from fastapi import FastAPI, HTTPException, Query, Request

import resdet
from resdet.errors import DataError
from resdet.images import read_header, read_image


def create_app(
    weights: str, *, most_bytes: int = 10 << 20, most_pixels: int = 25_000_000, seconds: float = 30.0, most_waiting: int = 8
) -> FastAPI:
    """The server of a detector's file.

    Args:
        weights: the file.
        most_bytes: of an upload.
        most_pixels: of a picture, known before it is decoded.
        seconds: that an upload may take, and then the answer.
        most_waiting: pictures that are worked on or wait.
    """
    detector = resdet.load_detector(weights)
    worker, places = ThreadPoolExecutor(max_workers=1), threading.BoundedSemaphore(most_waiting)
    app = FastAPI(title="resdet")

    async def upload(request: Request) -> bytes:
        content = bytearray()
        async for part in request.stream():
            content += part
            if len(content) > most_bytes:
                raise HTTPException(413, f"an upload must be at most {most_bytes} bytes")
        return bytes(content)

    def search(content: bytes, score: float) -> dict[str, Any]:
        height, width = read_header("upload", content)[0]
        if height * width > most_pixels:
            raise DataError(f"upload: must be at most {most_pixels} pixels, got {height} x {width}")
        found = detector.predict(read_image("upload", content), score_thresh=score)
        return {
            "size": [height, width],
            "detections": [{"name": each.name, "score": each.score, "box": list(each.box)} for each in found],
        }

    @app.get("/names")
    def names() -> list[str]:
        """The class names."""
        return list(detector.names)

    @app.post("/detect")
    async def detect(request: Request, score: Annotated[float, Query(ge=0, le=1)] = 0.5) -> dict[str, Any]:
        """What is found in the picture that is the request's body: boxes x1, y1, x2, y2 in its pixels, best first."""
        try:
            content = await asyncio.wait_for(upload(request), seconds)
        except asyncio.TimeoutError as error:
            raise HTTPException(408, f"an upload must end within {seconds:g} seconds") from error
        if not places.acquire(blocking=False):
            raise HTTPException(503, "too many pictures wait", headers={"Retry-After": "1"})
        job = worker.submit(search, content, score)
        job.add_done_callback(lambda _: places.release())  # also of one that goes on after its answer has timed out
        try:
            return await asyncio.wait_for(asyncio.wrap_future(job), seconds)
        except asyncio.TimeoutError as error:
            raise HTTPException(504, f"no answer within {seconds:g} seconds") from error
        except DataError as error:
            raise HTTPException(400, str(error)) from error

    return app


if __name__ == "__main__":
    import uvicorn

    uvicorn.run(create_app(sys.argv[1]), host="127.0.0.1", port=8000, timeout_keep_alive=5)
