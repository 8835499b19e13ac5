/** How long each page of /ops takes with two months of five businesses, 50,000 calls. Can take pictures of the pages. */
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
  tenant: '/ops/tenants/1',
  log: '/ops/log',
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

export const pages = async (environment: Environment): Promise<Section> => {
  const { postgres, say, pictures } = environment
  say('  storing 50,000 calls')
  await using database = await postgres.newDatabase('bench_pages')
  const env = { ...postgres.envFor(database.url), OPS_PASSWORD }
  await fill(database, env)
  await using web = await startRingback('web', env)
  const turns = Object.entries(PAGES).map(([name, path]) => ({
    name,
    take: async () => {
      const start = performance.now()
      const answer = await fetch(web.url + path, { headers })
      await answer.text()
      if (answer.status !== 200) throw new InvalidTurn(`the page answered ${answer.status}`)
      return { ms: performance.now() - start }
    },
  }))
  const { rows, notes } = await interleave(turns, {
    ...environment,
    rounds: REQUESTS,
    say: () => {},
  })
  if (pictures) await takePictures(web.url, pictures)
  const title = `The pages with 50,000 calls, each requested ${REQUESTS} times`
  return { title, rows, notes: [...notes, 'The goal is at most 200 ms.'] }
}

const fill = async (database: Database, env: NodeJS.ProcessEnv): Promise<void> => {
  await database.query(await readFile(new URL('pages_fill.sql', import.meta.url), 'utf8'))
  // The program does not start if it cannot decrypt the tokens.
  process.env['ENCRYPTION_KEY'] = env['ENCRYPTION_KEY']
  for (const id of ['1', '2', '3', '4', '5'])
    await database.query('update whatsapp_connections set access_token = $1 where tenant_id = $2', [
      encrypt('made up', tokenOwner(id)),
      id,
    ])
  await database.query('vacuum analyze')
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
