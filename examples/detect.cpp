// Find objects in a photo with OpenVINO alone, in C++; neither Python nor torch runs here.
//
// `resdet export model.safetensors detector.onnx --resize` writes the file (or detector.xml). Headers and libraries are in the
// Python package openvino, too (OV: its folder):
//     g++ -std=c++17 -I $OV/include detect.cpp -o detect $OV/libs/libopenvino.so.* -Wl,-rpath,$OV/libs
//     ./detect detector.onnx photo.ppm
#include <cstdio>
#include <fstream>
#include <iostream>
#include <openvino/runtime/core.hpp>
#include <string>

// A photo as binary PPM (P6): its width, its height and its RGB bytes, row after row.
static ov::Tensor read_ppm(const char* path) {
    std::ifstream file(path, std::ios::binary);
    std::string kind;
    size_t width = 0, height = 0, most = 0;
    file >> kind >> width >> height >> most;
    file.get();
    if (kind != "P6" || most != 255 || width == 0 || height == 0 || width * height > 100000000)
        throw std::runtime_error(std::string(path) + ": must be a PPM file of bytes (P6), without comments");
    ov::Tensor images(ov::element::u8, {1, height, width, 3});
    if (!file.read(reinterpret_cast<char*>(images.data<uint8_t>()), width * height * 3))
        throw std::runtime_error(std::string(path) + ": ends too early");
    return images;
}

int main(int count, char** arguments) try {
    if (count != 3) throw std::runtime_error("detect FILE.onnx PHOTO.ppm");
    ov::CompiledModel model = ov::Core().compile_model(arguments[1], "CPU", ov::hint::inference_precision(ov::element::f32));
    ov::InferRequest request = model.create_infer_request();
    request.set_tensor("images", read_ppm(arguments[2]));
    request.infer();
    const float* boxes = request.get_tensor("boxes").data<float>();
    const float* scores = request.get_tensor("scores").data<float>();
    const int64_t* labels = request.get_tensor("labels").data<int64_t>();
    for (int64_t row = 0; row < request.get_tensor("counts").data<int64_t>()[0]; ++row, boxes += 4)
        if (scores[row] >= 0.5f)  // best first
            std::printf("%lld %.4f at %.2f, %.2f, %.2f, %.2f\n", static_cast<long long>(labels[row]), scores[row], boxes[0],
                        boxes[1], boxes[2], boxes[3]);
} catch (const std::exception& error) {
    std::cerr << error.what() << "\n";
    return 1;
}
