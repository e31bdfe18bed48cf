#include "agent/ipc/config.h"

#include <algorithm>
#include <functional>
#include <limits>
#include <map>
#include <nlohmann/json.hpp>

#include "attest/base/json_guard.h"
#include "attest/base/text.h"
#include "platform/trusted_file.h"

namespace countersign::agent {
namespace {

using Json = nlohmann::json;

size_t LineAt(std::string_view text, size_t position) {
  return 1 + static_cast<size_t>(std::ranges::count(
                 text.substr(0, std::min(position, text.size())), '\n'));
}

// The line on which `key` (within `section`, if any) is named.
size_t LineOf(std::string_view text, std::string_view section,
              std::string_view key) {
  size_t at = 0;
  if (!section.empty()) {
    at = text.find('"' + std::string(section) + '"');
    if (at == std::string_view::npos) at = 0;
  }
  const size_t found = text.find('"' + std::string(key) + '"', at);
  return LineAt(text, found == std::string_view::npos ? at : found);
}

// Levenshtein distance: how many letters were mistyped.
size_t Distance(std::string_view a, std::string_view b) {
  std::vector<size_t> row(b.size() + 1);
  for (size_t j = 0; j < row.size(); ++j) row[j] = j;
  for (size_t i = 1; i <= a.size(); ++i) {
    size_t diagonal = std::exchange(row[0], i);
    for (size_t j = 1; j <= b.size(); ++j) {
      const size_t change = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
      diagonal = row[j];
      row[j] = std::min({row[j] + 1, row[j - 1] + 1, change});
    }
  }
  return row.back();
}

// What may stand at one key, and where it goes. Says what it wants instead.
using Setter = std::function<std::string(const Json&)>;
using Section = std::map<std::string, Setter, std::less<>>;

Setter Text(std::string& out) {
  return [&out](const Json& value) -> std::string {
    if (!value.is_string()) return "must be a string";
    const std::string& text = value.get_ref<const std::string&>();
    if (!text.empty() && !CheckText(text, 4096, "text").has_value()) {
      return "must be plain text of at most 4096 bytes";
    }
    out = text;
    return {};
  };
}

Setter Path(std::string& out) {
  return [&out](const Json& value) -> std::string {
    if (std::string wrong = Text(out)(value); !wrong.empty()) return wrong;
    return out.starts_with('/') ? "" : "must be an absolute path";
  };
}

Setter OptionalPath(std::string& out) {
  return [&out](const Json& value) -> std::string {
    if (value.is_string() && value.get_ref<const std::string&>().empty()) {
      return {};
    }
    return Path(out)(value);
  };
}

Setter Number(uint32_t& out, uint32_t least, uint32_t most) {
  return [&out, least, most](const Json& value) -> std::string {
    if (!value.is_number_unsigned() || value.get<uint64_t>() < least ||
        value.get<uint64_t>() > most) {
      return "must be a whole number from " + std::to_string(least) + " to " +
             std::to_string(most);
    }
    out = static_cast<uint32_t>(value.get<uint64_t>());
    return {};
  };
}

Setter Paths(std::vector<std::string>& out, bool& set) {
  return [&out, &set](const Json& value) -> std::string {
    if (!value.is_array() || value.size() > 64) {
      return "must be a list of at most 64 absolute paths";
    }
    out.clear();
    for (const Json& item : value) {
      std::string path;
      if (!Path(path)(item).empty()) return "must hold absolute paths only";
      out.push_back(std::move(path));
    }
    set = true;
    return {};
  };
}

Setter KeyKind(bool& tpm_key) {
  return [&tpm_key](const Json& value) -> std::string {
    if (value == "memory" || value == "tpm") {
      tpm_key = value == "tpm";
      return {};
    }
    return "must be \"memory\" or \"tpm\"";
  };
}

// Every key there is. The empty section holds the top level.
std::map<std::string, Section> Schema(AgentConfig& config) {
  auto& service = config.service;
  auto& session = config.session;
  auto& limits = config.limits;
  return {
      {"",
       {{"state_dir", Path(config.state_dir)},
        {"socket", Path(config.socket)},
        {"uplink_socket", Path(config.uplink_socket)},
        {"uplink_user", Text(config.uplink_user)},
        {"relays", Paths(config.relays, config.relays_set)}}},
      {"service",
       {{"url", Text(service.url)},
        {"ca_file", OptionalPath(service.ca_file)},
        {"jwks_file", OptionalPath(service.jwks_file)},
        {"proxy", Text(service.proxy)}}},
      {"tpm",
       {{"tcti", Text(config.tpm.tcti)},
        {"event_log", Path(config.tpm.event_log)}}},
      {"session",
       {{"key", KeyKind(session.tpm_key)},
        {"lifetime_s", Number(session.lifetime_s, 60, 30 * 24 * 3600)},
        {"open_timeout_ms", Number(session.open_timeout_ms, 100, 600'000)}}},
      {"limits",
       {{"outstanding_per_peer", Number(limits.outstanding_per_peer, 1, 65536)},
        {"outstanding_total", Number(limits.outstanding_total, 1, 65536)},
        {"connections", Number(limits.connections, 8, 65536)},
        {"max_batch", Number(limits.max_batch, 1, 2048)}}},
  };
}

std::string Nearest(std::string_view key, const std::vector<std::string>& all) {
  std::string nearest;
  size_t best = 3;  // Further off than this is another word.
  for (const std::string& name : all) {
    if (const size_t d = Distance(key, name); d < best) {
      best = d;
      nearest = name;
    }
  }
  return nearest;
}

class Reader {
 public:
  Reader(std::string_view text, const std::string& name)
      : text_(text), name_(name), schema_(Schema(config_)) {}

  Result<AgentConfig> Read() {
    if (const Status json = CheckJson(text_, kMaxConfigSize); !json) {
      return Malformed(json.error().detail);
    }
    const Json root = Json::parse(text_, nullptr, false);
    if (!root.is_object()) return Wrong(1, "must be a JSON object");
    CS_RETURN_IF_ERROR(ReadSection("", root));
    config_.source = name_;
    return std::move(config_);
  }

 private:
  Status ReadSection(const std::string& section, const Json& object) {
    const Section& known = schema_.at(section);
    for (const auto& [key, value] : object.items()) {
      const size_t line = LineOf(text_, section, key);
      if (const auto setter = known.find(key); setter != known.end()) {
        const std::string wrong = setter->second(value);
        if (!wrong.empty()) return Wrong(line, '"' + key + "\" " + wrong);
      } else if (section.empty() && !key.empty() && schema_.contains(key)) {
        if (!value.is_object()) {
          return Wrong(line, '"' + key + "\" must be an object");
        }
        CS_RETURN_IF_ERROR(ReadSection(key, value));
      } else {
        Warn(line, section, key);
      }
    }
    return {};
  }

  void Warn(size_t line, const std::string& section, const std::string& key) {
    std::vector<std::string> names;
    for (const auto& [name, setter] : schema_.at(section)) {
      names.push_back(name);
    }
    if (section.empty()) {
      for (const auto& [name, keys] : schema_) names.push_back(name);
    }
    std::string warning = name_ + ":" + std::to_string(line) +
                          ": unknown key \"" + Printable(key, 64) + "\"";
    if (const std::string nearest = Nearest(key, names); !nearest.empty()) {
      warning += "; did you mean \"" + nearest + "\"?";
    }
    config_.warnings.push_back(std::move(warning));
  }

  [[nodiscard]] tl::unexpected<Error> Wrong(size_t line,
                                            const std::string& what) const {
    return Fail(ErrorCode::kConfigInvalid,
                name_ + ":" + std::to_string(line) + ": " + what);
  }

  // The guard says at which byte the text stops being JSON.
  [[nodiscard]] tl::unexpected<Error> Malformed(const std::string& why) const {
    const std::string marker = "at byte ";
    const size_t at = why.find(marker);
    size_t line = 1;
    if (at != std::string::npos) {
      line = LineAt(text_, std::stoull(why.substr(at + marker.size())));
    }
    return Wrong(line, why);
  }

  std::string_view text_;
  std::string name_;
  AgentConfig config_;
  std::map<std::string, Section> schema_;
};

}  // namespace

Result<AgentConfig> ParseAgentConfig(std::string_view text,
                                     const std::string& name) {
  return Reader(text, name).Read();
}

Result<AgentConfig> LoadAgentConfig(const std::string& path, bool must_exist) {
  const auto contents = platform::ReadTrustedFile(path, kMaxConfigSize);
  if (!contents.has_value()) {
    const Error& error = contents.error();
    if (error.code == ErrorCode::kNotFound && !must_exist) return AgentConfig{};
    if (error.code == ErrorCode::kTooLarge) {
      return Fail(ErrorCode::kConfigInvalid, error.detail);
    }
    return tl::unexpected(error);
  }
  return ParseAgentConfig(AsString(*contents), path);
}

}  // namespace countersign::agent
