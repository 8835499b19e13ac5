/**
 * Two Postgres servers, a primary and a synchronous standby, behind one address that leads to the primary. This file does
 * what Patroni and HAProxy do: it promotes the standby, moves the address, keeps the old primary out, and rebuilds it as the
 * new standby.
 */
import { chmod, cp, mkdir, rm, writeFile } from 'node:fs/promises'
import { join, relative } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import { type Place, placeFor } from '../../app/db/embedded_postgres.ts'
import { freePort, run, waitUntil } from '../processes.ts'
import { newServer, removePlace, type Server, startCluster } from './postgres.ts'
import { type Proxy, startProxy } from './proxy.ts'

const SETTINGS = { max_connections: '80' }
/** The name of the standby for the primary, and of its replication slot. */
const STANDBY = 'standby'
const SYNCHRONOUS_WITHIN_MS = 60_000
const PROMOTED_WITHIN_SECONDS = 30
const COPY_TRIES = 3

/** The ways in which a primary is lost. */
export const LOSSES = ['kill -9', 'immediate stop', 'cut off'] as const
export type Loss = (typeof LOSSES)[number]
/** So long the program still reaches a primary that is cut off: before the promotion, and as long again after it. */
const CUT_OFF_MS = 1500

type Node = { place: Place; port: number; server: Server; replication: Proxy }
export type Failover = {
  loss: Loss
  /** Milliseconds since 1970: the primary was lost, the standby was the primary, the address led to it. */
  at: number
  promoted: number
  moved: number
  /** Commits that the old primary acknowledged after the promotion. */
  acknowledgedByOld: number
}
export type Pair = Awaited<ReturnType<typeof startPair>>

/** @param folder must not exist yet, or be empty */
export const startPair = async (folder: string) => {
  const first = await startCluster(join(folder, 'one'), {
    settings: SETTINGS,
    connectionLimit: -1,
  })
  const urlOf = (port: number, database = 'postgres') => {
    const url = new URL(first.urlOf('postgres', database))
    url.port = String(port)
    return url.href
  }
  /** The standby connects through it, so that the link between the servers can be cut. */
  const linkTo = (port: number) => startProxy(() => [port])
  const newNode = async (name: string): Promise<Node> => {
    const place = await placeFor(join(folder, name))
    const port = await freePort()
    const log = join(folder, `${name}.log`)
    const server = newServer(place, { port, log, settings: SETTINGS, url: urlOf(port) })
    return { place, port, server, replication: await linkTo(port) }
  }
  const { place, port, version } = first
  let primary: Node = { place, port, server: first, replication: await linkTo(port) }
  let standby = await newNode('two')
  const address = await startProxy(() => [primary.port])

  /** Copies the primary while it runs: the embedded Postgres has no pg_basebackup. */
  const rebuildStandby = async (): Promise<void> => {
    const { data, account } = standby.place
    await rm(data, { recursive: true, force: true })
    await withClient(urlOf(primary.port), async admin => {
      await admin.query(`select pg_drop_replication_slot(slot_name) from pg_replication_slots`)
      await admin.query(`select pg_create_physical_replication_slot('${STANDBY}', true)`)
      const label = await copyRunning(admin, primary.place.data, data)
      await writeFile(join(data, 'backup_label'), label)
    })
    const source = new URL(urlOf(primary.replication.port))
    // It replaces the copy of the primary's file. So a promoted standby waits for no standby until it has one.
    await writeFile(
      join(data, 'postgresql.auto.conf'),
      `primary_conninfo = 'host=127.0.0.1 port=${source.port} user=postgres password=${source.password} application_name=${STANDBY}'
primary_slot_name = '${STANDBY}'
`,
    )
    await writeFile(join(data, 'standby.signal'), '')
    if (account) await run(['-R', `${account.uid}:${account.gid}`, data], {}, { command: 'chown' })
    await standby.server.start()
  }
  /** From now on a commit is acknowledged only after the standby has it too. */
  const waitForStandby = () =>
    withClient(urlOf(primary.port), async admin => {
      await admin.query(`alter system set synchronous_standby_names = '${STANDBY}'`)
      await admin.query('select pg_reload_conf()')
      const isSynchronous = async () => {
        const { rowCount } = await admin.query(
          `select from pg_stat_replication where state = 'streaming' and sync_state = 'sync'
           and flush_lsn >= pg_current_wal_flush_lsn()`,
        )
        return rowCount === 1
      }
      if (!(await waitUntil(isSynchronous, SYNCHRONOUS_WITHIN_MS)))
        throw new Error(`the standby does not follow; the logs are in ${folder}`)
    })
  const addStandby = async () => {
    await rebuildStandby()
    await waitForStandby()
  }
  const promote = () =>
    withClient(urlOf(standby.port), async admin => {
      const { rows } = await admin.query<{ promoted: boolean }>(
        `select pg_promote(true, ${PROMOTED_WITHIN_SECONDS}) as promoted`,
      )
      if (!rows[0]?.promoted) throw new Error('the standby was not promoted')
    })

  const lose = async (loss: Loss): Promise<void> => {
    if (loss === 'kill -9') return primary.server.kill()
    if (loss === 'immediate stop') return primary.server.stopAtOnce()
    // The old primary goes on running, and the program still reaches it.
    primary.replication.refuse()
    primary.replication.cut()
    await sleep(CUT_OFF_MS)
  }
  /** Tries to commit there, as a client would that the move of the address did not reach. @returns how many it acknowledged */
  const tryOldPrimary = async (old: Node): Promise<number> => {
    const commit = (client: pg.Client) =>
      client.query(`select pg_logical_emit_message(true, 'failover', '')`)
    const tries = [1, 2, 3].map(() => withClient(urlOf(old.port, 'ringback'), commit, CUT_OFF_MS))
    const results = await Promise.allSettled(tries)
    const reasons = results.flatMap(one => (one.status === 'rejected' ? [String(one.reason)] : []))
    const failed = reasons.find(reason => !reason.includes('Query read timeout'))
    if (failed) throw new Error(`the primary that is cut off should answer, and wait: ${failed}`)
    return results.length - reasons.length
  }

  await addStandby()
  return {
    version,
    /** For the program, and for chaos itself. Both lead to the primary. */
    programUrl: first.programUrl(address.port),
    checkingUrl: urlOf(address.port, 'ringback'),
    /** For the program and for chaos itself, at another port. */
    urlOf: first.programUrl,
    adminUrl: urlOf,
    ports: () => ({ primary: primary.port, standby: standby.port }),
    /** Loses the primary and promotes the standby. Returns as soon as the address leads to the new primary. */
    failOver: async (loss: Loss): Promise<Failover> => {
      const at = Date.now()
      await lose(loss)
      await promote()
      const promoted = Date.now()
      const old = primary
      const acknowledgedByOld = loss === 'cut off' ? await tryOldPrimary(old) : 0
      primary = standby
      standby = old
      // Sessions on the old primary end, also those that wait for a commit.
      address.cut()
      const moved = Date.now()
      return { loss, at, promoted, moved, acknowledgedByOld }
    },
    /** Ends the old primary and makes it the standby. Returns when commits wait for it again. */
    rebuild: async (): Promise<void> => {
      // Also ends the processes of a primary that was cut off. After a kill -9 they have ended by themselves.
      await standby.server.stopAtOnce()
      await standby.replication.accept()
      await addStandby()
    },
    remove: async () => {
      await address.close()
      for (const { server, replication, place } of [standby, primary]) {
        await server.stopAtOnce()
        await replication.close()
        await removePlace(place)
      }
    },
  }
}

const withClient = async <Result>(
  connectionString: string,
  work: (client: pg.Client) => Promise<Result>,
  queryTimeout?: number,
): Promise<Result> => {
  const client = new pg.Client({
    connectionString,
    connectionTimeoutMillis: 5000,
    ...(queryTimeout && { query_timeout: queryTimeout }),
  })
  client.on('error', () => {})
  try {
    await client.connect()
    return await work(client)
  } finally {
    // Not awaited, because a server that is cut off may not answer.
    client.end().catch(() => {})
  }
}

/** What a copy must not contain, or does not need: the new server makes it again. */
const LEFT_OUT =
  /^(postmaster\.(pid|opts)|(pg_wal|pg_replslot|pg_stat_tmp|pg_notify|pg_serial|pg_snapshots|pg_subtrans|pg_dynshmem)\/.+|.*pg_internal\.init.*|.*pgsql_tmp.*)$/

/** @returns the text of its backup_label */
const copyRunning = async (admin: pg.Client, from: string, to: string): Promise<string> => {
  for (let tries = 1; ; tries++) {
    await rm(to, { recursive: true, force: true })
    await mkdir(to, { recursive: true })
    await admin.query(`select pg_backup_start('standby', true)`)
    const failed = await cp(from, to, {
      recursive: true,
      filter: path => !LEFT_OUT.test(relative(from, path)),
    }).then(
      () => null,
      (error: unknown) => error,
    )
    const { rows } = await admin.query<{ labelfile: string }>(
      'select labelfile from pg_backup_stop(false)',
    )
    await chmod(to, 0o700)
    if (!failed) return rows[0]?.labelfile ?? ''
    // A file may vanish while it is copied.
    if (tries === COPY_TRIES) throw failed
  }
}
