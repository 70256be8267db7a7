# resdet for a CPU. No Docker engine was at hand when this was written: it was checked by hadolint, and NOT BUILT YET.
#
#   docker build -t resdet .
#   docker run --rm --user "$(id -u):$(id -g)" -v "$PWD:/work" resdet predict --weights model.safetensors photo.jpg
#
# Workers pass images through shared memory: train with --shm-size=1g or more, or data.workers=0.
FROM python:3.12-slim

# torch for the CPU, a tenth of the size of the one for CUDA; in a layer of its own, that stays when the code changes
RUN pip install --no-cache-dir --index-url https://download.pytorch.org/whl/cpu "torch>=2.6,<3" "torchvision>=0.21,<1"

COPY . /src
RUN pip install --no-cache-dir "/src[fast]" && rm -rf /src \
    && useradd --uid 1000 --create-home resdet && install --directory --owner=1000 /work

# any user may write here: matplotlib's and the annotations' caches, where HOME is not that user's
ENV MPLCONFIGDIR=/tmp/matplotlib XDG_CACHE_HOME=/tmp/cache PYTHONUNBUFFERED=1
USER 1000
WORKDIR /work
ENTRYPOINT ["resdet"]
CMD ["--help"]
