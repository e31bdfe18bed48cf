#include "attest/base/openssl_ptr.h"

#include <openssl/err.h>

namespace countersign {

std::string OpensslError() {
  char text[256] = "no OpenSSL error recorded";
  if (const unsigned long code = ERR_get_error(); code != 0) {
    ERR_error_string_n(code, text, sizeof(text));
  }
  ERR_clear_error();
  return text;
}

}  // namespace countersign
