#include "attest/authz/oauth/status_list.h"

#include <zlib.h>

#include <array>
#include <charconv>

#include "attest/authz/json_writer.h"
#include "attest/authz/oauth/names.h"
#include "attest/authz/policy/policy.h"
#include "attest/authz/wire.h"
#include "attest/jose/jws.h"

namespace countersign::authz {
namespace {

constexpr std::string_view kContentType = "application/statuslist+jwt";
constexpr int64_t kMakeEveryMs = 1'000;
constexpr int64_t kListLifeS = 60;
constexpr size_t kKeptLists = 8;
constexpr int64_t kSkewMs = 5'000;

}  // namespace

std::string CompressedStatusList(std::span<const uint64_t> set_bits) {
  std::array<uint8_t, kStatusListSize / 8> bits{};
  for (const uint64_t bit : set_bits) {
    bits[bit % kStatusListSize / 8] |= static_cast<uint8_t>(1u << (bit % 8));
  }
  Bytes compressed(::compressBound(bits.size()));
  uLongf size = compressed.size();
  // With a buffer of compressBound it cannot fail but for want of memory.
  if (::compress2(compressed.data(), &size, bits.data(), bits.size(),
                  Z_BEST_COMPRESSION) != Z_OK) {
    throw std::bad_alloc();
  }
  return ToBase64Url(ByteSpan(compressed).first(size));
}

Result<std::string> StatusLists::Make(uint64_t segment) {
  const int64_t now_ms = service_.clock.NowMs();
  const uint64_t begin = segment * kStatusListSize;
  std::vector<uint64_t> ended;
  const auto read = [&](StoreView& view) -> Status {
    CS_ASSIGN_OR_RETURN(const auto head, view.LedgerHead());
    if (begin >= head.size) return Fail(ErrorCode::kNotFound);
    CS_ASSIGN_OR_RETURN(
        const uint64_t oldest,
        view.FirstEntrySince(now_ms - kMaxGrantTtlS * 1000 - kSkewMs));
    CS_ASSIGN_OR_RETURN(ended,
                        view.EndedGrants(std::max(begin, oldest),
                                         begin + kStatusListSize, now_ms));
    return {};
  };
  CS_RETURN_IF_ERROR(service_.store.Read(read));
  JsonWriter json;
  json.BeginObject()
      .String("sub", EndpointUrl(service_.config.issuer, kStatusPath) + "/" +
                         std::to_string(segment))
      .String("iss", service_.config.issuer)
      .Int("iat", now_ms / 1000)
      .Int("exp", now_ms / 1000 + kListLifeS)
      .Int("ttl", kStatusListTtlS)
      .BeginObject("status_list")
      .Int("bits", 1)
      .String("lst", CompressedStatusList(ended))
      .EndObject()
      .EndObject();
  return service_.issuer.Sign(jose::kTypStatusList, json.text());
}

Response StatusLists::Get(std::string_view segment) {
  uint64_t number = 0;
  const char* const last = segment.data() + segment.size();
  const auto [end, error] = std::from_chars(segment.data(), last, number);
  if (error != std::errc() || end != last ||
      number > INT64_MAX / kStatusListSize) {
    return ProblemResponse({ErrorCode::kNotFound, {}});
  }
  // Whoever asks meanwhile waits for the same list instead of making another.
  const std::lock_guard lock(mutex_);
  const int64_t now_ms = service_.clock.NowMs();
  const auto found = made_.find(number);
  if (found == made_.end() || found->second.at_ms + kMakeEveryMs <= now_ms ||
      found->second.at_ms > now_ms) {
    Result<std::string> token = Make(number);
    if (!token) return ProblemResponse(token.error());
    made_[number] = {now_ms, *std::move(token)};
    if (made_.size() > kKeptLists) {
      made_.erase(made_.begin()->first == number ? std::next(made_.begin())
                                                 : made_.begin());
    }
  }
  Response response;
  response.content_type = kContentType;
  response.body = made_[number].token;
  response.cache_control = "public, max-age=" + std::to_string(kStatusListTtlS);
  return response;
}

}  // namespace countersign::authz
