/** How long each page of /ops and each list of the API takes with two months of calls. Can take pictures of the pages. */
import { randomBytes } from 'node:crypto'
import { mkdir, readFile } from 'node:fs/promises'
import { encrypt, tokenOwner } from '../../app/crypto.ts'
import { startRingback } from '../processes.ts'
import type { Database, Environment } from './environment.ts'
import { InvalidTurn, interleave, type Section } from './results.ts'

const PAGES = {
  today: '/ops?tenant=1',
  'today-all': '/ops',
  people: '/ops/leads?tenant=1',
  'people-all': '/ops/leads',
  'people-search': '/ops/leads?q=1234',
  person: '/ops/leads/17',
  calls: '/ops/calls',
  'calls-number': '/ops/calls?number=0522004000',
  'calls-skipped': '/ops/calls?tenant=1&state=not_contacted',
  'calls-read': '/ops/calls?state=read',
  'people-won': '/ops/leads?outcome=won&from=2026-01-01',
  call: '/ops/calls/49900',
  waiting: '/ops/waiting',
  trouble: '/ops/trouble',
  tenants: '/ops/tenants',
  'tenants-unread': '/ops/tenants?show=unread',
  'tenants-missed': '/ops/tenants?sort=missed',
  'tenants-search': '/ops/tenants?q=garage&sort=name',
  tenant: '/ops/tenants/1',
  queue: '/ops/queue',
  'queue-failed': '/ops/queue?task=lead_outreach&state=failed',
  log: '/ops/log',
}
/** The lists of the API, as the largest tenant asks for them. */
const LISTS = {
  'api calls': '/calls?limit=200',
  'api calls of a day': '/calls?limit=200&since=2026-11-01T00:00:00Z&until=2026-11-02T00:00:00Z',
  'api calls missed': '/calls?limit=200&verdict=missed',
  'api calls sent': '/calls?limit=200&outreach_state=sent',
  'api calls sent, answered': '/calls?limit=200&outreach_state=sent&verdict=answered',
  'api calls of a number': '/calls?limit=200&caller=0522004000',
  'api people': '/leads?limit=200',
  'api people waiting': '/leads?limit=200&waiting=true',
  'api people not waiting': '/leads?limit=200&waiting=false',
  'api people won': '/leads?limit=200&outcome=won',
  'api people of a state': '/leads?limit=200&state=new',
  'api report': '/report',
  'api people, search': '/leads?limit=200&q=1234',
}
const PICTURES: (keyof typeof PAGES)[] = [
  'today',
  'people',
  'person',
  'calls',
  'call',
  'waiting',
  'trouble',
  'tenant',
]
const SIZES = { phone: { width: 390, height: 844 }, desktop: { width: 1280, height: 800 } }
const OPS_PASSWORD = 'only for this run'
const credential = Buffer.from(`operator:${OPS_PASSWORD}`).toString('base64')
const headers = { authorization: `Basic ${credential}` }
const REQUESTS = 20

/** A few tenants with a history, and an agency with many. */
const SIZES_OF_DATA = [
  { name: '', tenants: 5, calls: 50_000, share: 0.6, skew: 1 },
  { name: '10,000 businesses: ', tenants: 10_000, calls: 1_000_000, share: 0.15, skew: 2 },
]
type Size = (typeof SIZES_OF_DATA)[number]

export const pages = async (environment: Environment): Promise<Section> => {
  const { postgres, say, pictures } = environment
  const results: Awaited<ReturnType<typeof interleave>>[] = []
  for (const size of SIZES_OF_DATA) {
    say(`  storing ${size.calls} calls of ${size.tenants} businesses`)
    await using database = await postgres.newDatabase('bench_pages')
    const env = { ...postgres.envFor(database.url), OPS_PASSWORD }
    const token = await fill(database, env, size)
    await using web = await startRingback('web', env)
    const turnOf = (name: string, path: string, authorization: string) => ({
      name: `${size.name}${name}`,
      take: async () => {
        const start = performance.now()
        const answer = await fetch(web.url + path, { headers: { authorization } })
        await answer.text()
        if (answer.status !== 200) throw new InvalidTurn(`the answer was ${answer.status}`)
        return { ms: performance.now() - start }
      },
    })
    const turns = [
      ...Object.entries(PAGES).map(([name, path]) => turnOf(name, path, headers.authorization)),
      ...Object.entries(LISTS).map(([name, path]) =>
        turnOf(name, `/api/v1${path}`, `Bearer ${token}`),
      ),
    ]
    results.push(await interleave(turns, { ...environment, rounds: REQUESTS, say: () => {} }))
    if (pictures && size.name === '') await takePictures(web.url, pictures)
  }
  return {
    title: `The pages and the lists of the API: 50,000 calls of 5 businesses, and 1,000,000 of 10,000. Each was requested ${REQUESTS} times`,
    rows: results.flatMap(({ rows }) => rows),
    notes: [...results.flatMap(({ notes }) => notes), 'The goal is at most 200 ms.'],
  }
}

/** @returns a token for the API of the largest tenant */
const fill = async (database: Database, env: NodeJS.ProcessEnv, size: Size): Promise<string> => {
  const { tenants, calls, share, skew } = size
  await database.query(
    'create temporary table fill as select $1::int as tenants, $2::int as calls, $3::float8 as share, $4::float8 as skew',
    [tenants, calls, share, skew],
  )
  const text = await readFile(new URL('pages_fill.sql', import.meta.url), 'utf8')
  // To check millions of foreign keys would take as long as everything else.
  await database.query(
    `set session_replication_role = replica; ${text}; reset session_replication_role`,
  )
  // The program does not start if it cannot decrypt the tokens.
  process.env['ENCRYPTION_KEY'] = env['ENCRYPTION_KEY']
  const ids = Array.from({ length: tenants }, (_, n) => String(n + 1))
  await database.query(
    `update whatsapp_connections c set access_token = t.token
     from unnest($1::bigint[], $2::text[]) t (id, token) where c.tenant_id = t.id`,
    [ids, ids.map(id => encrypt('made up', tokenOwner(id)))],
  )
  const token = randomBytes(32).toString('base64url')
  await database.query(
    "insert into webhook_tokens (tenant_id, kind, hash) values (1, 'api', sha256(convert_to($1, 'UTF8')))",
    [token],
  )
  await database.query('vacuum analyze')
  return token
}

const takePictures = async (url: string, folder: string): Promise<void> => {
  const { startBrowser, whyNoBrowser } = await import('../browser.ts')
  const why = whyNoBrowser()
  if (why) throw new Error(`no pictures: ${why}`)
  await mkdir(folder, { recursive: true })
  const { browser, close } = await startBrowser()
  for (const locale of ['en', 'he'])
    for (const [size, viewport] of Object.entries(SIZES)) {
      const timezoneId = 'Asia/Jerusalem'
      const options = { viewport, locale, timezoneId, extraHTTPHeaders: headers }
      const context = await browser.newContext(options)
      const tab = await context.newPage()
      for (const page of PICTURES) {
        if (page === 'person') {
          // The first person who waits. The link leads to the end of the conversation.
          await tab.goto(url + PAGES.people)
          await tab.locator('.person .open').first().click()
          await tab.waitForURL(/leads\/\d/)
        } else await tab.goto(url + PAGES[page])
        await tab.screenshot({ path: `${folder}/${page}-${size}-${locale}.png` })
      }
      await context.close()
    }
  await close()
}
