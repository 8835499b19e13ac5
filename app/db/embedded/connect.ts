import { Client } from 'pg'

/** Well above what a busy machine needs for one connection on the loopback. */
const CONNECT_TIMEOUT = 5_000

/** One plain connection. A server that goes away later shows in the next query, not as a crash. */
export const connect = async (connectionString: string): Promise<Client> => {
  const client = new Client({ connectionString, connectionTimeoutMillis: CONNECT_TIMEOUT })
  client.on('error', () => {})
  await client.connect()
  return client
}
