#include "attest/authz/storage/postgres/dialect.h"

#include <cctype>
#include <utility>

namespace countersign::authz {
namespace {

constexpr std::pair<std::string_view, std::string_view> kWords[] = {
    {"INTEGER", "BIGINT"}, {"BLOB", "BYTEA"},     {"TEXT", "BYTEA"},
    {"STRICT", ""},        {"WITHOUT ROWID", ""},
};

bool InWord(char c) {
  return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_';
}

// Replaces `from` where it stands as a word of its own.
void ReplaceWord(std::string& text, std::string_view from,
                 std::string_view to) {
  for (size_t at = text.find(from); at != std::string::npos;
       at = text.find(from, at)) {
    const size_t end = at + from.size();
    const bool whole = (at == 0 || !InWord(text[at - 1])) &&
                       (end == text.size() || !InWord(text[end]));
    if (whole) text.replace(at, from.size(), to);
    at += whole ? to.size() : from.size();
  }
}

// One statement without what only SQLite says after the table's ')'.
std::string Translated(std::string_view statement) {
  std::string text(statement);
  for (const auto& [from, to] : kWords) ReplaceWord(text, from, to);
  const size_t end = text.find_last_not_of(" \n,");
  text.resize(end == std::string::npos ? 0 : end + 1);
  return text;
}

}  // namespace

std::string PostgresStatementText(std::string_view sql) {
  std::string text(sql);
  for (size_t i = 0; i + 1 < text.size(); ++i) {
    if (text[i] == '?' && std::isdigit(static_cast<unsigned char>(text[i + 1])))
      text[i] = '$';
  }
  return text;
}

std::vector<std::string> PostgresSchema(std::string_view statements) {
  std::vector<std::string> all;
  for (size_t end = statements.find(';'); end != std::string_view::npos;
       end = statements.find(';')) {
    all.push_back(Translated(statements.substr(0, end)));
    statements.remove_prefix(end + 1);
  }
  return all;
}

}  // namespace countersign::authz
