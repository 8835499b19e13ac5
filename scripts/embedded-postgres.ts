/**
 * The keeper of one embedded Postgres: started in the background by app/db/embedded.ts, never by
 * hand. It starts the server, or takes over one whose keeper was killed, and stops it when nobody
 * has been connected for a while. It holds one connection all the time: its advisory lock makes
 * it the only keeper, its name there tells commands that the server will stay, and its end tells
 * the keeper that the server has gone. All three end with their process, whatever kills it.
 */
import { rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { makeCluster, removeUnfinished } from '../app/db/embedded/cluster.ts'
import { keeperName } from '../app/db/embedded/names.ts'
import type { Order } from '../app/db/embedded/place.ts'
import { reachServer } from '../app/db/embedded/server.ts'

/** Longer than the pause between two commands typed by hand, short enough to leave nothing behind. */
const IDLE = 20_000
const LOOK = 2_000
const LOCK = 1

const order: Order = JSON.parse(process.argv[2] ?? '')

await makeCluster(order)
const { client, pid, url } = await reachServer(order)

const file = join(order.folder, 'url')
await writeFile(`${file}.${process.pid}`, `${url.href}\n`, { mode: 0o600 })
await rename(`${file}.${process.pid}`, file) // whole or not at all

const { rowCount } = await client.query(
  "select set_config('application_name', $1, false) where pg_try_advisory_lock($2)",
  [keeperName(order.folder), LOCK],
)
if (!rowCount) process.exit() // another command's keeper was faster, and keeps this very server
await removeUnfinished(order)

/** Fast shutdown: clients are cut, nothing is lost. (Windows has no signals: there it is a crash.) */
const stop = (): void => void process.kill(pid, 'SIGINT')
process.once('SIGTERM', stop)
client.once('end', () => process.exit()) // the server has gone

let sessions = ''
/** Whether anybody is connected, or was since we last looked: commands are often brief. */
const visited = async (): Promise<boolean> => {
  const { rows } = await client.query<{ sessions: string; connected: boolean }>(
    `select (select sum(sessions)::text from pg_stat_database) as sessions,
            exists (select from pg_stat_activity
                    where backend_type = 'client backend' and pid <> pg_backend_pid()) as connected`,
  )
  const before = sessions
  sessions = rows[0]?.sessions ?? ''
  return sessions !== before || rows[0]?.connected === true
}

for (let seen = Date.now(); ; await setTimeout(LOOK)) {
  if (await visited()) seen = Date.now()
  if (Date.now() - seen < IDLE) continue
  // Take the name down before the last look: who comes later sees that this server does not stay.
  await client.query("set application_name = 'leaving'")
  if (!(await visited())) break
  await client.query("select set_config('application_name', $1, false)", [keeperName(order.folder)])
}
stop()
