#include "attest/tpm/signature.h"

#include <openssl/rsa.h>

#include "attest/base/big_endian.h"
#include "attest/base/digest.h"

namespace countersign::tpm {
namespace {

tl::unexpected<Error> Bad(std::string detail) {
  return Fail(ErrorCode::kBadSignature, std::move(detail));
}

// ECDSA-Sig-Value as DER, which is what OpenSSL verifies; empty if r or s is
// not a number of the curve's size.
Bytes ToDer(const Signature& signature, size_t field_size) {
  const auto number = [field_size](const Bytes& bytes) {
    const bool fits = !bytes.empty() && bytes.size() <= field_size;
    return fits ? BN_bin2bn(bytes.data(), static_cast<int>(bytes.size()),
                            nullptr)
                : nullptr;
  };
  BignumPtr r(number(signature.r));
  BignumPtr s(number(signature.s));
  const EcdsaSigPtr pair(ECDSA_SIG_new());
  if (r == nullptr || s == nullptr || pair == nullptr) return {};
  ECDSA_SIG_set0(pair.get(), r.release(), s.release());
  uint8_t* der = nullptr;
  const int size = i2d_ECDSA_SIG(pair.get(), &der);
  if (size <= 0) return {};
  Bytes result(der, der + size);
  OPENSSL_free(der);
  return result;
}

bool Verifies(const PublicArea& key, const Sha256Digest& digest,
              ByteSpan signature) {
  const EvpPkeyCtxPtr context(
      EVP_PKEY_CTX_new_from_pkey(nullptr, key.key(), nullptr));
  if (context == nullptr || EVP_PKEY_verify_init(context.get()) != 1) {
    return false;
  }
  if (key.type() == kAlgRsa &&
      (EVP_PKEY_CTX_set_rsa_padding(context.get(), RSA_PKCS1_PADDING) != 1 ||
       EVP_PKEY_CTX_set_signature_md(context.get(), EVP_sha256()) != 1)) {
    return false;
  }
  return EVP_PKEY_verify(context.get(), signature.data(), signature.size(),
                         digest.data(), digest.size()) == 1;
}

}  // namespace

Result<Signature> ParseSignature(ByteSpan tpmt_signature) {
  if (tpmt_signature.size() > kMaxSignatureSize) return Bad("too large");
  BigEndianReader reader(tpmt_signature);
  Signature signature;
  signature.algorithm = reader.U16();
  signature.hash = reader.U16();
  switch (signature.algorithm) {
    case kAlgEcdsa:
      signature.r = ToBytes(reader.Sized16(kMaxSignatureSize));
      signature.s = ToBytes(reader.Sized16(kMaxSignatureSize));
      break;
    case kAlgRsassa:
      signature.rsa = ToBytes(reader.Sized16(kMaxSignatureSize));
      break;
    default:
      return Bad("neither ECDSA nor RSASSA");
  }
  if (!reader.AtEnd()) return Bad("truncated, or bytes left over");
  return signature;
}

Status VerifySignature(const PublicArea& key, ByteSpan message,
                       ByteSpan tpmt_signature) {
  const uint16_t algorithm = key.type() == kAlgRsa ? kAlgRsassa : kAlgEcdsa;
  if (key.scheme().algorithm != algorithm || key.scheme().hash != kAlgSha256) {
    return Bad("the key's scheme is neither ECDSA nor RSASSA with SHA-256");
  }
  CS_ASSIGN_OR_RETURN(Signature signature, ParseSignature(tpmt_signature));
  if (signature.algorithm != algorithm || signature.hash != kAlgSha256) {
    return Bad("made with another algorithm or hash than the key's");
  }
  // RSASSA: OpenSSL refuses a signature not as long as the modulus.
  const Bytes encoded = algorithm == kAlgEcdsa
                            ? ToDer(signature, key.x().size())
                            : std::move(signature.rsa);
  if (encoded.empty() || !Verifies(key, Sha256(message), encoded)) {
    static_cast<void>(OpensslError());  // Empty the thread's queue.
    return Bad("does not verify");
  }
  return {};
}

}  // namespace countersign::tpm
