// The program at the other end in tests of who speaks.
//   peer_child connect PATH   connects, writes "hello", waits to be killed
//   peer_child write FD       writes "hello" on an inherited socket, waits
//   peer_child sleep          waits
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <string_view>

int main(int argc, char** argv) {
  const std::string_view command = argc > 1 ? argv[1] : "";
  int socket = -1;
  if (command == "connect" && argc > 2) {
    socket = ::socket(AF_UNIX, SOCK_STREAM, 0);
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::strncpy(address.sun_path, argv[2], sizeof(address.sun_path) - 1);
    if (::connect(socket, reinterpret_cast<sockaddr*>(&address),
                  sizeof(address)) != 0) {
      return 1;
    }
  }
  if (command == "write" && argc > 2) socket = std::atoi(argv[2]);
  if (socket >= 0 && ::write(socket, "hello", 5) != 5) return 1;
  while (true) ::pause();
}
