// What the tutorials on WebRTC build on socket.io: two to a room, and everything that one says goes to the other.
// Listens on a free port of loopback, and prints which.

import { Server } from "socket.io";
import { createServer } from "node:http";

const http = createServer();
const io = new Server(http, { serveClient: false });

io.on("connection", (socket) => {
  socket.on("join", (room) => {
    const members = io.sockets.adapter.rooms.get(room)?.size ?? 0;
    if (members < 2) socket.join(room);
    socket.emit(["created", "joined"][members] ?? "full");
  });
  for (const kind of ["ready", "offer", "answer", "candidate"]) {
    socket.on(kind, ({ room, signal }) => socket.to(room).emit(kind, signal));
  }
});

http.listen(0, "127.0.0.1", () => console.log(`http listening on 127.0.0.1:${http.address().port}\nready`));
