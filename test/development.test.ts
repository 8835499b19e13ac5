/** What the programs on a development machine know of each other, and what they say to a person. */
import { spawnSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import t from 'tap'
import {
  ADD_WITH_FAKE,
  announce,
  curlMissedCall,
  findRunning,
  settingsFrom,
  TRIAL_CALLER,
  welcome,
} from '../app/development.ts'
import { readable } from '../app/log.ts'

const FAKE = {
  WHATSAPP_GRAPH_URL: 'http://127.0.0.1:3999',
  WHATSAPP_APP_SECRET: 'a',
  WHATSAPP_VERIFY_TOKEN: 'b',
}

t.test('a running program is found until it stops or dies', t => {
  const folder = t.testdir()
  t.equal(findRunning('start', folder), null)
  const facts = { port: 4000, settings: { PUBLIC_URL: 'http://localhost:4000' } }
  const removeAnnouncement = announce('start', facts, folder)
  t.match(findRunning('start', folder), facts)
  removeAnnouncement()
  t.equal(findRunning('start', folder), null)

  announce('start', facts, folder)
  const file = join(folder, 'running_start.json')
  const { pid } = spawnSync(process.execPath, ['--version'])
  writeFileSync(file, JSON.stringify({ ...facts, pid }))
  t.equal(findRunning('start', folder), null, 'a program that has died')
  removeAnnouncement()
  t.match(readFileSync(file, 'utf8'), `${pid}`, 'another program keeps its announcement')
  const first = { ...facts, pid: process.ppid }
  writeFileSync(file, JSON.stringify(first))
  announce('start', { ...facts, port: 4001 }, folder)()
  t.match(findRunning('start', folder), first, 'a second copy changes nothing')
  writeFileSync(file, '{"pid":')
  t.equal(findRunning('start', folder), null, 'half a file')
  t.end()
})

t.test('settings of a process of its own take precedence', t => {
  const folder = t.testdir()
  announce('fake_whatsapp', { port: 3999, settings: FAKE }, folder)
  t.strictSame(settingsFrom('fake_whatsapp', { NODE_ENV: 'development' }, folder), FAKE)
  for (const env of [
    { NODE_ENV: 'production' },
    { NODE_ENV: 'Production' },
    { DATABASE_URL: 'postgres://127.0.0.1/x' },
    { WHATSAPP_GRAPH_URL: 'https://graph.facebook.com' },
    { WHATSAPP_APP_SECRET: 'mine' },
  ])
    t.strictSame(settingsFrom('fake_whatsapp', env, folder), {}, JSON.stringify(env))
  t.end()
})

t.test('the start says what to do next', t => {
  const at = { url: 'http://localhost:3000', production: false, fakeUrl: undefined }
  const first = welcome({ ...at, hasBusiness: false })
  t.match(first, 'http://localhost:3000/ops')
  t.match(first, 'npm run tenant -- add')
  t.match(first, 'curl "http://localhost:3000/webhooks/voicenter/cdr?token=TOKEN"')
  t.match(first, 'caller=YOUR_MOBILE', 'a message could reach the phone of a stranger')
  t.match(first, 'npm run fake-whatsapp')
  const later = welcome({ ...at, fakeUrl: 'http://127.0.0.1:3999', hasBusiness: true })
  t.match(later, 'Its phones: http://127.0.0.1:3999')
  t.match(later, 'caller=0523456789')
  t.notMatch(later, 'tenant -- add')
  t.notMatch(welcome({ ...at, production: true, hasBusiness: true }), 'curl')
  t.end()
})

t.test('the README shows the same commands', t => {
  const readme = readFileSync(new URL('../README.md', import.meta.url), 'utf8').replace(
    / \\\n +/g,
    ' ',
  )
  t.match(readme, ADD_WITH_FAKE)
  const url = 'http://localhost:3000/webhooks/voicenter/cdr?token=TOKEN'
  t.match(readme, curlMissedCall(url, '+972722776772', TRIAL_CALLER))
  t.end()
})

t.test('a line of the log is readable on a terminal', t => {
  const line = (fields: object) =>
    readable(JSON.stringify({ level: 30, time: Date.UTC(2026, 10, 30), ...fields })).slice(9)
  t.equal(line({ msg: 'Ringback listens', port: 3000 }), 'Ringback listens port=3000')
  t.equal(line({ level: 40, msg: 'no' }), 'warning: no')
  const err = { type: 'Error', message: 'the port is taken' }
  t.equal(line({ level: 60, msg: 'it ends', err }), 'fatal: it ends: the port is taken')
  const stack = { ...err, stack: 'Error: y\n  at z' }
  t.match(line({ level: 50, msg: 'x', err: stack }), /at z$/)
  t.equal(line({ level: 40, msg: 'x', err: stack }), 'warning: x: the port is taken')
  t.end()
})

t.test('an old Node is told which one to use', t => {
  const path = resolve('scripts/check_node.cjs')
  const check = (version: string, cwd = process.cwd()) => {
    const { status, stderr } = spawnSync(
      process.execPath,
      [
        '--eval',
        `Object.defineProperty(process.versions, 'node', { value: '${version}' }); require('${path}')`,
      ],
      { encoding: 'utf8', cwd },
    )
    return [status, stderr]
  }
  for (const version of ['20.20.2', '22.17.1', '23.5.0', '18.0.0'])
    t.strictSame(check(version), [
      1,
      `Ringback needs Node 24, or Node 22 from 22.18 on. This is Node ${version}.\n`,
    ])
  for (const version of ['22.18.0', '24.0.0', '25.1.0']) t.strictSame(check(version), [0, ''])
  t.match(check('20.20.2', t.testdir()), [1, /^Run npm ci first: /], 'nothing is installed yet')
  t.end()
})
