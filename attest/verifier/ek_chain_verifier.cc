#include "attest/verifier/ek_chain_verifier.h"

#include <openssl/x509_vfy.h>
#include <openssl/x509v3.h>

#include "attest/tpm/key_strength.h"
#include "attest/verifier/certificate.h"

namespace countersign::verifier {
namespace {

// TCG object identifiers (EK Credential Profile 2.5 §3.2.9, §3.2.16).
constexpr const char* kEkCertificateUsage = "2.23.133.8.1";
constexpr const char* kTpmManufacturer = "2.23.133.2.1";
constexpr const char* kTpmModel = "2.23.133.2.2";
constexpr const char* kTpmVersion = "2.23.133.2.3";

// OpenSSL's level for 112 bits: refuses SHA-1 signatures.
constexpr int kAuthLevel = 2;

using X509CrlPtr = std::unique_ptr<X509_CRL, OpensslDeleter<X509_CRL_free>>;
using StoreCtxPtr =
    std::unique_ptr<X509_STORE_CTX, OpensslDeleter<X509_STORE_CTX_free>>;
struct X509StackDeleter {
  void operator()(STACK_OF(X509) * stack) const {
    sk_X509_pop_free(stack, X509_free);
  }
};
using X509StackPtr = std::unique_ptr<STACK_OF(X509), X509StackDeleter>;

X509CrlPtr ParseCrl(ByteSpan der) {
  const uint8_t* next = der.data();
  X509CrlPtr crl(d2i_X509_CRL(nullptr, &next, static_cast<long>(der.size())));
  return next == der.data() + der.size() ? std::move(crl) : nullptr;
}

Status CheckLimits(std::span<const Bytes> chain) {
  if (chain.empty()) return Fail(ErrorCode::kEkCertMissing);
  if (chain.size() > kMaxCertificates) {
    return Fail(ErrorCode::kCertLimits, "number of certificates");
  }
  for (const Bytes& certificate : chain) {
    if (certificate.size() > kMaxCertificateSize) {
      return Fail(ErrorCode::kCertLimits, "size of a certificate");
    }
  }
  return {};
}

// All of the chain as OpenSSL takes it, each key judged before any signature
// is computed with it.
Result<X509StackPtr> ParseChain(std::span<const Bytes> chain) {
  X509StackPtr stack(sk_X509_new_null());
  for (const Bytes& der : chain) {
    X509Ptr certificate = ParseCertificate(der);
    if (certificate == nullptr) {
      return Fail(ErrorCode::kMalformedEvidence, "EK certificate");
    }
    const EVP_PKEY* key = X509_get0_pubkey(certificate.get());
    if (key == nullptr) {
      static_cast<void>(OpensslError());  // Empty the thread's queue.
      return Fail(ErrorCode::kWeakKey, "a certificate's key is not known");
    }
    CS_RETURN_IF_ERROR(tpm::CheckKeyStrength(key));
    sk_X509_push(stack.get(), certificate.release());
  }
  return stack;
}

// What makes a certificate an EK's, whoever signed it.
Status CheckLeaf(X509* leaf, const tpm::PublicArea& ek) {
  if (EVP_PKEY_eq(X509_get0_pubkey(leaf), ek.key()) != 1) {
    return Fail(ErrorCode::kEkCertMismatch);
  }
  const uint32_t flags = X509_get_extension_flags(leaf);
  if ((flags & EXFLAG_CRITICAL) != 0) {
    return Fail(ErrorCode::kEkCertUnknownCritical);
  }
  if ((flags & EXFLAG_CA) != 0) {
    return Fail(ErrorCode::kEkCertUsage, "it is a CA's certificate");
  }
  if (!HasExtendedUsage(leaf, kEkCertificateUsage)) {
    return Fail(ErrorCode::kEkCertUsage, "no tcg-kp-EKCertificate usage");
  }
  return {};
}

ErrorCode CodeFor(int openssl_error) {
  switch (openssl_error) {
    case X509_V_ERR_CERT_HAS_EXPIRED:
      return ErrorCode::kEkCertExpired;
    case X509_V_ERR_CERT_NOT_YET_VALID:
      return ErrorCode::kEkCertNotYetValid;
    case X509_V_ERR_CERT_REVOKED:
      return ErrorCode::kEkCertRevoked;
    case X509_V_ERR_UNHANDLED_CRITICAL_EXTENSION:
      return ErrorCode::kEkCertUnknownCritical;
    case X509_V_ERR_CA_MD_TOO_WEAK:
      return ErrorCode::kEkCertWeakSignature;
    case X509_V_ERR_CA_KEY_TOO_SMALL:
    case X509_V_ERR_EE_KEY_TOO_SMALL:
      return ErrorCode::kWeakKey;
    default:
      return ErrorCode::kEkCertUntrusted;
  }
}

// Not every issuer has a list, and an old one still names what was revoked.
int OnVerify(int ok, X509_STORE_CTX* context) {
  switch (X509_STORE_CTX_get_error(context)) {
    case X509_V_ERR_UNABLE_TO_GET_CRL:
    case X509_V_ERR_CRL_HAS_EXPIRED:
      return 1;
    default:
      return ok;
  }
}

void SetParameters(X509_STORE_CTX* context, const EkTrust& trust,
                   int64_t now_ms) {
  X509_VERIFY_PARAM* parameters = X509_STORE_CTX_get0_param(context);
  // A root may be any certificate that the operator put there.
  X509_VERIFY_PARAM_set_flags(parameters, X509_V_FLAG_PARTIAL_CHAIN);
  if (trust.has_crls()) {
    X509_VERIFY_PARAM_set_flags(
        parameters, X509_V_FLAG_CRL_CHECK | X509_V_FLAG_CRL_CHECK_ALL);
  }
  X509_VERIFY_PARAM_set_auth_level(parameters, kAuthLevel);
  X509_VERIFY_PARAM_set_depth(parameters, kMaxCertificates);
  X509_VERIFY_PARAM_set_time(parameters, static_cast<time_t>(now_ms / 1000));
  X509_STORE_CTX_set_verify_cb(context, OnVerify);
}

// The subject of the root that the chain leads to.
Result<std::string> VerifySignatures(STACK_OF(X509) * chain,
                                     const EkTrust& trust, int64_t now_ms) {
  if (trust.store() == nullptr) {
    return Fail(ErrorCode::kEkCertUntrusted, "no roots are configured");
  }
  const StoreCtxPtr context(X509_STORE_CTX_new());
  if (X509_STORE_CTX_init(context.get(), trust.store(), sk_X509_value(chain, 0),
                          chain) != 1) {
    return Fail(ErrorCode::kInternal, OpensslError());
  }
  SetParameters(context.get(), trust, now_ms);
  if (X509_verify_cert(context.get()) != 1) {
    const int error = X509_STORE_CTX_get_error(context.get());
    static_cast<void>(OpensslError());  // Empty the thread's queue.
    return Fail(CodeFor(error), X509_verify_cert_error_string(error));
  }
  STACK_OF(X509)* verified = X509_STORE_CTX_get0_chain(context.get());
  const X509* root = sk_X509_value(verified, sk_X509_num(verified) - 1);
  return NameText(X509_get_subject_name(root));
}

}  // namespace

Result<EkTrust> EkTrust::FromDer(std::span<const Bytes> roots,
                                 std::span<const Bytes> crls) {
  EkTrust trust;
  trust.store_ = std::shared_ptr<X509_STORE>(X509_STORE_new(), X509_STORE_free);
  for (size_t i = 0; i < roots.size(); ++i) {
    const X509Ptr root = ParseCertificate(roots[i]);
    if (root == nullptr ||
        X509_STORE_add_cert(trust.store_.get(), root.get()) != 1) {
      return Fail(ErrorCode::kConfigInvalid, "root " + std::to_string(i));
    }
  }
  for (size_t i = 0; i < crls.size(); ++i) {
    const X509CrlPtr crl = ParseCrl(crls[i]);
    if (crl == nullptr ||
        X509_STORE_add_crl(trust.store_.get(), crl.get()) != 1) {
      return Fail(ErrorCode::kConfigInvalid, "CRL " + std::to_string(i));
    }
  }
  trust.has_crls_ = !crls.empty();
  return trust;
}

Result<EkIdentity> VerifyEkChain(const tpm::PublicArea& ek,
                                 std::span<const Bytes> chain,
                                 const EkTrust& trust, int64_t now_ms) {
  CS_RETURN_IF_ERROR(CheckLimits(chain));
  CS_ASSIGN_OR_RETURN(const X509StackPtr stack, ParseChain(chain));
  X509* leaf = sk_X509_value(stack.get(), 0);
  CS_RETURN_IF_ERROR(CheckLeaf(leaf, ek));
  CS_ASSIGN_OR_RETURN(std::string root,
                      VerifySignatures(stack.get(), trust, now_ms));
  return EkIdentity{
      .root_subject = std::move(root),
      .manufacturer = AlternativeNameAttribute(leaf, kTpmManufacturer),
      .model = AlternativeNameAttribute(leaf, kTpmModel),
      .version = AlternativeNameAttribute(leaf, kTpmVersion)};
}

}  // namespace countersign::verifier
