/** npm run bench:pages: measures how long each page of /ops takes with 50,000 calls, and takes pictures of the pages. */
import { mkdir, readFile } from 'node:fs/promises'
import { parseArgs } from 'node:util'
import { encrypt, tokenOwner } from '../../app/crypto.ts'
import { connect, embeddedPostgres } from '../../app/db/embedded_postgres.ts'
import { closeDatabase } from '../../app/db/kysely.ts'
import { migrate } from '../../app/db/migrate.ts'
import { startRingback } from '../processes.ts'

const { values: flags } = parseArgs({
  options: {
    times: { type: 'string', default: '20' },
    pictures: { type: 'string' },
    help: { type: 'boolean', short: 'h' },
  },
})
if (flags.help) {
  console.log(`Usage: npm run bench:pages [-- options]

Fills a new database with two months of five businesses, 50,000 calls, and requests each page of /ops.

  --times N        how often each page is requested; default 20
  --pictures DIR   also saves pictures of the pages: phone and desktop, English and Hebrew`)
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
const PASSWORD = 'only for this run'
const headers = { authorization: `Basic ${Buffer.from(`operator:${PASSWORD}`).toString('base64')}` }
const name = `ringback_bench_${process.pid}`

const fill = async (databaseUrl: string): Promise<void> => {
  process.env['DATABASE_URL'] = databaseUrl
  await migrate()
  await closeDatabase()
  const client = await connect(databaseUrl)
  await client.query(await readFile(new URL('pages_fill.sql', import.meta.url), 'utf8'))
  // The program does not start if it cannot decrypt the tokens.
  for (const id of ['1', '2', '3', '4', '5'])
    await client.query('update whatsapp_connections set access_token = $1 where tenant_id = $2', [
      encrypt('made up', tokenOwner(id)),
      id,
    ])
  await client.query('vacuum analyze')
  await client.end()
}

const measure = async (url: string): Promise<void> => {
  const rows = []
  for (const [page, path] of Object.entries(PAGES)) {
    const times = []
    let status = 0
    for (let n = 0; n < Number(flags.times); n++) {
      const start = performance.now()
      const answer = await fetch(url + path, { headers })
      await answer.text()
      status = answer.status
      times.push(Math.round(performance.now() - start))
    }
    const [first] = times
    times.sort((a, b) => a - b)
    rows.push({ page, status, first, p50: times[times.length >> 1], max: times.at(-1) })
  }
  console.table(rows)
}

const takePictures = async (url: string, folder: string): Promise<void> => {
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
        extraHTTPHeaders: headers,
      })
      const tab = await context.newPage()
      for (const page of PICTURES) {
        await tab.goto(url + PAGES[page])
        await tab.screenshot({ path: `${folder}/${page}-${size}-${locale}.png` })
      }
      await context.close()
    }
  await close()
}

console.error('Storing 50,000 calls')
const admin = await connect(await embeddedPostgres({ database: 'postgres' }))
await admin.query(`create database ${name}`)
try {
  await fill(await embeddedPostgres({ database: name }))
  const env = { ...process.env, PORT: '0', OPS_PASSWORD: PASSWORD, LOG_LEVEL: 'info' }
  const web = await startRingback('web', env)
  console.error(`Requesting each page ${flags.times} times; milliseconds`)
  await measure(web.url)
  if (flags.pictures) await takePictures(web.url, flags.pictures)
  await web.stop()
} finally {
  await admin.query(`drop database ${name} with (force)`)
  await admin.end()
}
