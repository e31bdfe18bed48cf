// The vectors of vectors.json, which make_vectors.py computes with nothing but
// hashlib: an implementation that shares no code with ours.
#ifndef COUNTERSIGN_TESTS_VECTORS_LOAD_VECTORS_H_
#define COUNTERSIGN_TESTS_VECTORS_LOAD_VECTORS_H_

#include <cstdlib>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>

#include "attest/base/bytes.h"

namespace countersign {

inline nlohmann::json LoadVectors() {
  const char* source = std::getenv("COUNTERSIGN_SOURCE");
  std::ifstream file(std::string(source == nullptr ? "." : source) +
                     "/tests/vectors/vectors.json");
  return nlohmann::json::parse(file);
}

// Bytes of a hex string in a vector.
inline Bytes Unhex(const nlohmann::json& text) {
  return FromHex(text.get<std::string>()).value();
}

inline Sha256Digest UnhexDigest(const nlohmann::json& text) {
  return DigestFrom(Unhex(text), "vector").value();
}

}  // namespace countersign

#endif  // COUNTERSIGN_TESTS_VECTORS_LOAD_VECTORS_H_
