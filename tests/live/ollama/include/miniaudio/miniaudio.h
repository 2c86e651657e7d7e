// Stands in for the audio library of llama.cpp's picture-and-sound reader, which Ollama's Go module leaves out.
// The server built for the live tests takes no sound: decoding always fails, and the server says so to who asked.
#pragma once

#include <cstddef>
#include <cstdint>

enum ma_result { MA_SUCCESS = 0, MA_NOT_IMPLEMENTED = -29 };
enum ma_format { ma_format_f32 };
typedef std::uint64_t ma_uint64;
struct ma_decoder_config {};
struct ma_decoder {};

static ma_decoder_config ma_decoder_config_init(ma_format, int, int) { return {}; }
static ma_result ma_decoder_init_memory(const void *, std::size_t, const ma_decoder_config *, ma_decoder *) {
    return MA_NOT_IMPLEMENTED;
}
static ma_result ma_decoder_get_length_in_pcm_frames(ma_decoder *, ma_uint64 *) { return MA_NOT_IMPLEMENTED; }
static ma_result ma_decoder_read_pcm_frames(ma_decoder *, void *, ma_uint64, ma_uint64 *) { return MA_NOT_IMPLEMENTED; }
static ma_result ma_decoder_uninit(ma_decoder *) { return MA_SUCCESS; }
