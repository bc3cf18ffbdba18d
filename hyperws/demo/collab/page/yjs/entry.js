// What of Yjs the editor uses: yjs.js is made of this. See README.md.
export { createDecoder, readVarUint, readVarUint8Array } from "lib0/decoding";
export { createEncoder, length, toUint8Array, writeVarUint, writeVarUint8Array } from "lib0/encoding";
export { applyAwarenessUpdate, Awareness, encodeAwarenessUpdate, removeAwarenessStates } from "y-protocols/awareness";
export { readSyncMessage, writeSyncStep1, writeUpdate } from "y-protocols/sync";
export {
  createAbsolutePositionFromRelativePosition,
  createRelativePositionFromJSON,
  createRelativePositionFromTypeIndex,
  Doc,
  mergeUpdates,
  UndoManager,
} from "yjs";
