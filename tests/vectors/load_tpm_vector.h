// A file of tests/vectors/tpm, which make_tpm_vectors.sh makes with a software
// TPM and tpm2-tools.
#ifndef COUNTERSIGN_TESTS_VECTORS_LOAD_TPM_VECTOR_H_
#define COUNTERSIGN_TESTS_VECTORS_LOAD_TPM_VECTOR_H_

#include <cstdlib>
#include <fstream>
#include <iterator>
#include <string>

#include "attest/base/bytes.h"

namespace countersign {

inline Bytes LoadTpmVector(const std::string& name) {
  const char* source = std::getenv("COUNTERSIGN_SOURCE");
  std::ifstream file(std::string(source == nullptr ? "." : source) +
                         "/tests/vectors/tpm/" + name,
                     std::ios::binary);
  return {std::istreambuf_iterator<char>(file),
          std::istreambuf_iterator<char>()};
}

// Without the size in front, for a file that holds a TPM2B.
inline Bytes LoadTpm2b(const std::string& name) {
  Bytes bytes = LoadTpmVector(name);
  if (bytes.size() >= 2) bytes.erase(bytes.begin(), bytes.begin() + 2);
  return bytes;
}

}  // namespace countersign

#endif  // COUNTERSIGN_TESTS_VECTORS_LOAD_TPM_VECTOR_H_
