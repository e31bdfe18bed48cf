#include "attest/authz/tls_context.h"

#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include <algorithm>

#include "attest/authz/files.h"
#include "attest/base/digest.h"
#include "attest/base/openssl_ptr.h"

namespace countersign::authz {
namespace {

// Forward secrecy and AEAD only; TLS 1.3 has nothing else.
constexpr char kTls12Ciphers[] =
    "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:"
    "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:"
    "ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305";
constexpr unsigned char kAlpn[] = "\x08http/1.1\x08http/1.0";

int SelectAlpn(SSL*, const unsigned char** out, unsigned char* out_size,
               const unsigned char* offered, unsigned int offered_size, void*) {
  unsigned char* selected = nullptr;
  if (SSL_select_next_proto(&selected, out_size, kAlpn, sizeof(kAlpn) - 1,
                            offered, offered_size) != OPENSSL_NPN_NEGOTIATED) {
    return SSL_TLSEXT_ERR_ALERT_FATAL;
  }
  *out = selected;
  return SSL_TLSEXT_ERR_OK;
}

EvpPkeyPtr NewP256Key() { return EvpPkeyPtr(EVP_EC_gen("P-256")); }

Status AddExtension(X509* certificate, X509* issuer, int nid,
                    const std::string& value) {
  X509V3_CTX context;
  X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
  X509_EXTENSION* extension =
      X509V3_EXT_conf_nid(nullptr, &context, nid, value.c_str());
  if (extension == nullptr) {
    return Fail(ErrorCode::kConfigInvalid, value + ": " + OpensslError());
  }
  X509_add_ext(certificate, extension, -1);
  X509_EXTENSION_free(extension);
  return {};
}

// An unsigned certificate for `key` with what CA and server share.
X509Ptr NewCertificate(EVP_PKEY* key, const std::string& common_name) {
  X509Ptr certificate(X509_new());
  X509_set_version(certificate.get(), X509_VERSION_3);
  Bytes serial = RandomBytes(16);
  serial[0] &= 0x7f;
  const BignumPtr number(
      BN_bin2bn(serial.data(), static_cast<int>(serial.size()), nullptr));
  BN_to_ASN1_INTEGER(number.get(), X509_get_serialNumber(certificate.get()));
  X509_gmtime_adj(X509_getm_notBefore(certificate.get()), -3600);
  X509_time_adj_ex(X509_getm_notAfter(certificate.get()), kPrivateTlsDays, 0,
                   nullptr);
  X509_set_pubkey(certificate.get(), key);
  X509_NAME_add_entry_by_txt(
      X509_get_subject_name(certificate.get()), "CN", MBSTRING_UTF8,
      reinterpret_cast<const unsigned char*>(common_name.c_str()), -1, -1, 0);
  return certificate;
}

std::string CertificatePem(X509* certificate) {
  const BioPtr out(BIO_new(BIO_s_mem()));
  PEM_write_bio_X509(out.get(), certificate);
  char* data = nullptr;
  const long size = BIO_get_mem_data(out.get(), &data);
  return {data, static_cast<size_t>(size)};
}

std::string KeyPem(EVP_PKEY* key) {
  const BioPtr out(BIO_new(BIO_s_mem()));
  PEM_write_bio_PKCS8PrivateKey(out.get(), key, nullptr, nullptr, 0, nullptr,
                                nullptr);
  char* data = nullptr;
  const long size = BIO_get_mem_data(out.get(), &data);
  return {data, static_cast<size_t>(size)};
}

bool IsIpAddress(const std::string& host) {
  ASN1_OCTET_STRING* address = a2i_IPADDRESS(host.c_str());
  ASN1_OCTET_STRING_free(address);
  return address != nullptr;
}

}  // namespace

Result<TlsContext> TlsContext::Load(const std::string& certificate,
                                    const std::string& key) {
  std::shared_ptr<SSL_CTX> context(SSL_CTX_new(TLS_server_method()),
                                   SSL_CTX_free);
  SSL_CTX* raw = context.get();
  SSL_CTX_set_min_proto_version(raw, TLS1_2_VERSION);
  SSL_CTX_set_options(raw, SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION |
                               SSL_OP_CIPHER_SERVER_PREFERENCE |
                               SSL_OP_IGNORE_UNEXPECTED_EOF);
  // Idle connections give their buffers back: there are thousands of them.
  SSL_CTX_set_mode(raw, SSL_MODE_RELEASE_BUFFERS);
  SSL_CTX_set_alpn_select_cb(raw, SelectAlpn, nullptr);
  if (SSL_CTX_set_cipher_list(raw, kTls12Ciphers) != 1) {
    return Fail(ErrorCode::kInternal, OpensslError());
  }
  if (SSL_CTX_use_certificate_chain_file(raw, certificate.c_str()) != 1) {
    return Fail(ErrorCode::kConfigInvalid, certificate + ": " + OpensslError());
  }
  // Also checks that the key is that of the certificate.
  if (SSL_CTX_use_PrivateKey_file(raw, key.c_str(), SSL_FILETYPE_PEM) != 1) {
    return Fail(ErrorCode::kConfigInvalid, key + ": " + OpensslError());
  }
  return TlsContext(std::move(context));
}

Bytes TlsExporter(SSL* ssl) {
  if (SSL_version(ssl) < TLS1_3_VERSION) return {};
  static constexpr std::string_view kLabel = "EXPORTER-Channel-Binding";
  Bytes exporter(32);
  if (SSL_export_keying_material(ssl, exporter.data(), exporter.size(),
                                 kLabel.data(), kLabel.size(), nullptr, 0,
                                 /*use_context=*/1) != 1) {
    return {};
  }
  return exporter;
}

Status MakePrivateTls(const std::string& host, const std::string& ca_file,
                      const std::string& certificate_file,
                      const std::string& key_file) {
  const EvpPkeyPtr ca_key = NewP256Key();
  const EvpPkeyPtr key = NewP256Key();
  if (!ca_key || !key) return Fail(ErrorCode::kInternal, OpensslError());

  const X509Ptr ca = NewCertificate(ca_key.get(), "Countersign private CA");
  X509_set_issuer_name(ca.get(), X509_get_subject_name(ca.get()));
  CS_RETURN_IF_ERROR(AddExtension(ca.get(), ca.get(), NID_basic_constraints,
                                  "critical,CA:TRUE,pathlen:0"));
  CS_RETURN_IF_ERROR(AddExtension(ca.get(), ca.get(), NID_key_usage,
                                  "critical,keyCertSign,cRLSign"));
  CS_RETURN_IF_ERROR(
      AddExtension(ca.get(), ca.get(), NID_subject_key_identifier, "hash"));

  const X509Ptr leaf = NewCertificate(key.get(), "countersign-authz");
  X509_set_issuer_name(leaf.get(), X509_get_subject_name(ca.get()));
  CS_RETURN_IF_ERROR(AddExtension(leaf.get(), ca.get(), NID_basic_constraints,
                                  "critical,CA:FALSE"));
  CS_RETURN_IF_ERROR(
      AddExtension(leaf.get(), ca.get(), NID_ext_key_usage, "serverAuth"));
  CS_RETURN_IF_ERROR(AddExtension(leaf.get(), ca.get(),
                                  NID_authority_key_identifier, "keyid"));
  CS_RETURN_IF_ERROR(AddExtension(leaf.get(), ca.get(), NID_subject_alt_name,
                                  (IsIpAddress(host) ? "IP:" : "DNS:") + host));

  // The CA's key is dropped: whoever holds it could impersonate the service.
  if (X509_sign(ca.get(), ca_key.get(), EVP_sha256()) == 0 ||
      X509_sign(leaf.get(), ca_key.get(), EVP_sha256()) == 0) {
    return Fail(ErrorCode::kInternal, OpensslError());
  }
  CS_RETURN_IF_ERROR(CreateFile(ca_file, CertificatePem(ca.get()), 0644));
  CS_RETURN_IF_ERROR(
      CreateFile(certificate_file, CertificatePem(leaf.get()), 0644));
  return CreateFile(key_file, KeyPem(key.get()), 0600);
}

}  // namespace countersign::authz
