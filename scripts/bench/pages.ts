/** npm run bench:pages: how long each page of /ops takes with 50,000 calls in the database; and their pictures. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, readFile } from 'node:fs/promises'
import { createInterface } from 'node:readline'
import { parseArgs } from 'node:util'
import pg from 'pg'
import { embeddedPostgres } from '../../app/db/embedded_postgres.ts'

const { values: flags } = parseArgs({
  options: {
    times: { type: 'string', default: '20' },
    pictures: { type: 'string' },
    help: { type: 'boolean', short: 'h' },
  },
})
if (flags.help) {
  console.log(`Usage: npm run bench:pages [-- options]

Fills a database of its own with two months of five businesses, 50,000 calls, and asks for each page of /ops.

  --times N        how often each page is asked for; default 20
  --pictures DIR   and takes pictures of them, on a phone and a desktop, in both languages`)
  process.exit()
}

const PAGES = {
  today: '/ops',
  'today-business': '/ops?tenant=1',
  calls: '/ops/calls',
  'calls-number': '/ops/calls?number=0522004000',
  'calls-skipped': '/ops/calls?tenant=1&state=not_contacted',
  call: '/ops/calls/49900',
  waiting: '/ops/waiting',
  trouble: '/ops/trouble',
  tenants: '/ops/tenants',
  tenant: '/ops/tenants/1',
  log: '/ops/log',
}
const PICTURES: (keyof typeof PAGES)[] = ['today', 'calls', 'call', 'waiting', 'trouble', 'tenant']
const SIZES = { phone: { width: 390, height: 844 }, desktop: { width: 1280, height: 800 } }

const say = (text: string) => console.error(text)
const PASSWORD = 'only for this run'
const AUTHORIZATION = `Basic ${Buffer.from(`operator:${PASSWORD}`).toString('base64')}`
const database = `ringback_bench_${process.pid}`

const onServer = async (work: (admin: pg.Client) => Promise<unknown>) => {
  const admin = new pg.Client(await embeddedPostgres({ database: 'postgres' }))
  await admin.connect()
  try {
    await work(admin)
  } finally {
    await admin.end()
  }
}

const fill = async (databaseUrl: string) => {
  process.env['DATABASE_URL'] = databaseUrl
  const { migrate } = await import('../../app/db/migrate.ts')
  const { endPools } = await import('../../app/db/pool.ts')
  await migrate()
  await endPools()
  const client = new pg.Client(databaseUrl)
  await client.connect()
  await client.query(await readFile(new URL('fill.sql', import.meta.url), 'utf8'))
  // The start looks whether its key opens them.
  const { encrypt, tokenOwner } = await import('../../app/crypto.ts')
  for (const tenantId of ['1', '2', '3', '4', '5'])
    await client.query('update whatsapp_connections set access_token = $1 where tenant_id = $2', [
      encrypt('made up', tokenOwner(tenantId)),
      tenantId,
    ])
  await client.query('vacuum analyze')
  await client.end()
}

/** A web of its own; resolves with where it listens, and what ends it. */
const startWeb = async (databaseUrl: string) => {
  const child = spawn(process.execPath, ['app/main.ts'], {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: {
      ...process.env,
      DATABASE_URL: databaseUrl,
      OPS_PASSWORD: PASSWORD,
      ROLE: 'web',
      PORT: '0',
      LOG_LEVEL: 'info',
    },
  })
  for await (const line of createInterface(child.stdout)) {
    const port = /"port":(\d+)/.exec(line)?.[1]
    if (!port) continue
    child.stdout.resume()
    return {
      url: `http://127.0.0.1:${port}`,
      end: async () => {
        child.kill('SIGTERM')
        await once(child, 'exit')
      },
    }
  }
  throw new Error('the web did not start')
}

const measure = async (url: string) => {
  const rows = []
  for (const [page, path] of Object.entries(PAGES)) {
    const times = []
    let status = 0
    for (let n = 0; n < Number(flags.times); n++) {
      const started = performance.now()
      const answer = await fetch(url + path, { headers: { authorization: AUTHORIZATION } })
      await answer.text()
      status = answer.status
      times.push(performance.now() - started)
    }
    const sorted = times.toSorted((a, b) => a - b).map(Math.round)
    rows.push({
      page,
      status,
      first: Math.round(times[0] ?? 0),
      p50: sorted[sorted.length >> 1],
      max: sorted.at(-1),
    })
  }
  console.table(rows)
}

const takePictures = async (url: string, folder: string) => {
  const { startBrowser, whyNoBrowser } = await import('../browser.ts')
  const why = whyNoBrowser()
  if (why) throw new Error(`no pictures: ${why}`)
  await mkdir(folder, { recursive: true })
  const { browser, close } = await startBrowser()
  for (const locale of ['en', 'he'])
    for (const [size, viewport] of Object.entries(SIZES)) {
      const context = await browser.newContext({
        viewport,
        locale,
        timezoneId: 'Asia/Jerusalem',
        extraHTTPHeaders: { authorization: AUTHORIZATION },
      })
      const tab = await context.newPage()
      for (const name of PICTURES) {
        await tab.goto(url + PAGES[name])
        await tab.screenshot({ path: `${folder}/${name}-${size}-${locale}.png` })
      }
      await context.close()
    }
  await close()
}

say('Making 50,000 calls')
await onServer(admin => admin.query(`create database ${database}`))
try {
  const databaseUrl = await embeddedPostgres({ database })
  await fill(databaseUrl)
  const web = await startWeb(databaseUrl)
  say(`Asking for each page ${flags.times} times; milliseconds`)
  await measure(web.url)
  if (flags.pictures) await takePictures(web.url, flags.pictures)
  await web.end()
} finally {
  await onServer(admin => admin.query(`drop database ${database} with (force)`))
}
