/** A websocket under Node: `ws`, because Node 20 has none of its own, and later ones do not say why a connection failed. */

import { WebSocket } from "ws";
import type { Socket } from "../../../runtime/home/assistant/connection.ts";

export function openSocket(url: string): Socket {
  return new WebSocket(url, { handshakeTimeout: 10_000 }) as unknown as Socket;
}
