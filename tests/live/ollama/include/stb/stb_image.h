// Stands in for the picture library of llama.cpp's picture-and-sound reader, which Ollama's Go module leaves out.
// The server built for the live tests takes no pictures through llama.cpp: decoding always fails, and it says so.
#pragma once

// The file that includes this one counts on what the library itself includes.
#include <cerrno>
#include <cstdarg>
#include <cstdio>
#include <cstring>

static unsigned char * stbi_load_from_memory(const unsigned char *, int, int *, int *, int *, int) { return nullptr; }
static void stbi_image_free(void *) {}
