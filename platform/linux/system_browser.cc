#include "platform/system_browser.h"

#include <fcntl.h>
#include <spawn.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>

extern char** environ;

namespace countersign::platform {
namespace {

bool IsSet(const char* name) {
  const char* value = ::getenv(name);
  return value != nullptr && *value != '\0';
}

}  // namespace

Status OpenInBrowser(const std::string& url) {
  if (!IsSet("BROWSER") && !IsSet("DISPLAY") && !IsSet("WAYLAND_DISPLAY")) {
    return Fail(ErrorCode::kNotFound, "there is no screen");
  }
  // xdg-open reads BROWSER and the desktop's settings. The URL is one
  // argument: no shell ever sees it.
  std::string program = "xdg-open";
  std::string argument = url;
  std::array<char*, 3> arguments{program.data(), argument.data(), nullptr};
  posix_spawn_file_actions_t files;
  posix_spawn_file_actions_init(&files);
  for (const int handle : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
    posix_spawn_file_actions_addopen(&files, handle, "/dev/null", O_RDWR, 0);
  }
  pid_t child = 0;
  const int failed = ::posix_spawnp(&child, program.c_str(), &files, nullptr,
                                    arguments.data(), environ);
  posix_spawn_file_actions_destroy(&files);
  if (failed != 0) return Fail(ErrorCode::kNotFound, "xdg-open");
  return {};
}

}  // namespace countersign::platform
