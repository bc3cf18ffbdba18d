// What a page imports: y-websocket.js is made of this. See README.md.
export { Doc } from "yjs";
export { WebsocketProvider } from "y-websocket";
