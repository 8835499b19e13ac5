/**
 * The fake WhatsApp as a process of its own:
 *
 *     node scripts/fake-whatsapp/main.ts --port 4000
 *
 * Point WHATSAPP_GRAPH_URL at it, open it in a browser, and script it over /control.
 */
import { parseArgs } from 'node:util'
import { startFakeWhatsApp } from './server.ts'

const help = `usage: node scripts/fake-whatsapp/main.ts [--port 4000] [--help]

A fake WhatsApp Cloud API on 127.0.0.1, with all state in memory.
  /                                   what every person sees, and can do
  POST /v26.0/{number id}/messages    as the Graph API
  POST /control/{method}              to configure, script and inspect it: one JSON object
                                      (methods: scripts/fake-whatsapp/fake.ts)
--port 0 takes a free port; the URL is printed as the first line.`

const { values } = parseArgs({
  options: { port: { type: 'string', default: '4000' }, help: { type: 'boolean' } },
})
const port = Number(values.port)

if (values.help) console.log(help)
else if (!Number.isInteger(port) || port < 0 || port > 65_535) {
  console.error(`--port: expected 0 to 65535, got ${values.port}`)
  process.exitCode = 2
} else {
  const fake = await startFakeWhatsApp({ port })
  console.log(fake.url)
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => void fake.close())
}
