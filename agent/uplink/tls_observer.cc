#include "agent/uplink/tls_observer.h"

#include <array>
#include <string_view>

#include "attest/base/openssl_ptr.h"
#include "attest/base/text.h"

namespace countersign::agent {
namespace {

constexpr std::string_view kLabel = "EXPORTER-Channel-Binding";
constexpr int kMaxShown = 4;
constexpr size_t kMaxName = 120;

std::string NameText(const X509_NAME* name) {
  const BioPtr out(BIO_new(BIO_s_mem()));
  if (!out || X509_NAME_print_ex(out.get(), name, 0,
                                 XN_FLAG_ONELINE & ~ASN1_STRFLGS_ESC_MSB) < 0) {
    return "(unreadable)";
  }
  char* text = nullptr;
  const long size = BIO_get_mem_data(out.get(), &text);
  return Printable({text, static_cast<size_t>(size)}, kMaxName);
}

std::string DayText(const ASN1_TIME* time) {
  tm parts{};
  if (ASN1_TIME_to_tm(time, &parts) != 1) return "(unreadable)";
  std::array<char, 32> text{};
  const size_t size = strftime(text.data(), text.size(), "%Y-%m-%d", &parts);
  return {text.data(), size};
}

std::string Describe(const STACK_OF(X509) * chain) {
  std::string text;
  for (int i = 0; i < sk_X509_num(chain) && i < kMaxShown; ++i) {
    const X509* certificate = sk_X509_value(chain, i);
    if (i > 0) text += "; ";
    text += "[" + std::to_string(i) + "] subject " +
            NameText(X509_get_subject_name(certificate)) + ", issuer " +
            NameText(X509_get_issuer_name(certificate)) + ", until " +
            DayText(X509_get0_notAfter(certificate));
  }
  return text;
}

int ObserverIndex() {
  static const int kIndex =
      SSL_CTX_get_ex_new_index(0, nullptr, nullptr, nullptr, nullptr);
  return kIndex;
}

}  // namespace

std::string TlsExporter(SSL* ssl) {
  if (ssl == nullptr || SSL_version(ssl) != TLS1_3_VERSION) return {};
  std::string exporter(32, '\0');
  if (SSL_export_keying_material(
          ssl, reinterpret_cast<unsigned char*>(exporter.data()),
          exporter.size(), kLabel.data(), kLabel.size(), nullptr, 0, 1) != 1) {
    return {};
  }
  return exporter;
}

void TlsObserver::Watch(SSL_CTX* context) {
  SSL_CTX_set_ex_data(context, ObserverIndex(), this);
  SSL_CTX_set_verify(context, SSL_VERIFY_PEER, &TlsObserver::OnVerify);
}

int TlsObserver::OnVerify(int preverify_ok, X509_STORE_CTX* store) {
  const auto* ssl = static_cast<const SSL*>(
      X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx()));
  auto* self = static_cast<TlsObserver*>(
      SSL_CTX_get_ex_data(SSL_get_SSL_CTX(ssl), ObserverIndex()));
  // What the server sent, not what was built from it and the trusted roots.
  self->chain_ = Describe(X509_STORE_CTX_get0_untrusted(store));
  return preverify_ok;
}

}  // namespace countersign::agent
