/**
 * Node's HTTP server and client. `import ... from 'node:http'` would also load Node's fetch, because that module exports its
 * WebSocket: 40 ms more of CPU at each start, and a few MB.
 */
export const http = process.getBuiltinModule('node:http')
