#include "attest/statement/statement.h"

#include <google/protobuf/descriptor.h>
#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>
#include <google/protobuf/unknown_field_set.h>

#include <array>
#include <limits>
#include <string>

#include "attest/base/digest.h"
#include "attest/statement/pae.h"

namespace countersign::statement {
namespace {

struct TypeRow {
  StatementType type;
  std::string_view uri;
};

constexpr std::array kTypes{
    TypeRow{StatementType::kEnrollment,
            "application/vnd.countersign.enrollment.v1+protobuf"},
    TypeRow{StatementType::kLogin,
            "application/vnd.countersign.login.v1+protobuf"},
    TypeRow{StatementType::kSessionBinding,
            "application/vnd.countersign.session-binding.v1+protobuf"},
    TypeRow{StatementType::kActionRequest,
            "application/vnd.countersign.action-request.v1+protobuf"},
    TypeRow{StatementType::kAction,
            "application/vnd.countersign.action.v1+protobuf"},
    TypeRow{StatementType::kActionBatch,
            "application/vnd.countersign.action-batch.v1+protobuf"},
    TypeRow{StatementType::kLedgerEntry,
            "application/vnd.countersign.ledger-entry.v1+protobuf"},
};

// Fields that this version does not know, at any depth. Walking the few fields
// of a statement is an order of magnitude cheaper than DiscardUnknownFields,
// and a service does it for every leaf.
bool HasUnknownFields(const google::protobuf::Message& message) {
  const google::protobuf::Reflection& reflection = *message.GetReflection();
  if (!reflection.GetUnknownFields(message).empty()) return true;
  const google::protobuf::Descriptor& descriptor = *message.GetDescriptor();
  for (int i = 0; i < descriptor.field_count(); ++i) {
    const auto* field = descriptor.field(i);
    if (field->cpp_type() != field->CPPTYPE_MESSAGE) continue;
    if (!field->is_repeated()) {
      if (reflection.HasField(message, field) &&
          HasUnknownFields(reflection.GetMessage(message, field))) {
        return true;
      }
      continue;
    }
    for (int j = 0; j < reflection.FieldSize(message, field); ++j) {
      if (HasUnknownFields(reflection.GetRepeatedMessage(message, field, j))) {
        return true;
      }
    }
  }
  return false;
}

// True if SerializeStatement(message) gives exactly `body`.
bool IsCanonical(const google::protobuf::MessageLite& message, ByteSpan body) {
  if (message.ByteSizeLong() != body.size()) return false;
  constexpr size_t kOnStack = 2048;  // An action fits.
  std::array<uint8_t, kOnStack> fixed;
  Bytes large(body.size() > kOnStack ? body.size() : 0);
  uint8_t* const buffer = large.empty() ? fixed.data() : large.data();
  google::protobuf::io::ArrayOutputStream stream(buffer,
                                                 static_cast<int>(body.size()));
  google::protobuf::io::CodedOutputStream out(&stream);
  out.SetSerializationDeterministic(true);
  message.SerializeWithCachedSizes(&out);
  out.Trim();
  return !out.HadError() && Equal({buffer, body.size()}, body);
}

}  // namespace

std::string_view TypeUri(StatementType type) {
  for (const TypeRow& row : kTypes) {
    if (row.type == type) return row.uri;
  }
  return {};
}

std::optional<StatementType> StatementTypeFromUri(std::string_view uri) {
  for (const TypeRow& row : kTypes) {
    if (row.uri == uri) return row.type;
  }
  return std::nullopt;
}

Bytes Pae(std::string_view type_uri, ByteSpan body) {
  const PaePrefix prefix(type_uri, body.size());
  Bytes pae;
  pae.reserve(prefix.bytes().size() + body.size());
  pae.insert(pae.end(), prefix.bytes().begin(), prefix.bytes().end());
  pae.insert(pae.end(), body.begin(), body.end());
  return pae;
}

Sha256Digest StatementDigest(StatementType type, ByteSpan body) {
  const PaePrefix prefix(TypeUri(type), body.size());
  return Sha256({prefix.bytes(), body});
}

Bytes SerializeStatement(const google::protobuf::MessageLite& message) {
  std::string text;
  google::protobuf::io::StringOutputStream stream(&text);
  google::protobuf::io::CodedOutputStream out(&stream);
  out.SetSerializationDeterministic(true);
  message.SerializeToCodedStream(&out);
  out.Trim();
  return ToBytes(AsBytes(text));
}

Status ParseStatementInto(ByteSpan body, size_t max_size,
                          google::protobuf::Message& message) {
  constexpr size_t kProtobufMax = std::numeric_limits<int>::max();
  if (body.size() > std::min(max_size, kProtobufMax)) {
    return Fail(ErrorCode::kTooLarge, "statement is longer than " +
                                          std::to_string(max_size) + " bytes");
  }
  if (!message.ParseFromArray(body.data(), static_cast<int>(body.size()))) {
    return Fail(ErrorCode::kMalformedStatement, "statement is not protobuf");
  }
  if (HasUnknownFields(message) || !IsCanonical(message, body)) {
    return Fail(ErrorCode::kNonCanonical,
                "statement has unknown fields or another encoding");
  }
  return {};
}

}  // namespace countersign::statement
