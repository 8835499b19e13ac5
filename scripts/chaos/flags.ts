import { readFileSync } from 'node:fs'

/** What the Procfile gives node: the program runs here as it does on its dyno. */
export const NODE_FLAGS = (
  /^web: node (.*)app\/main\.ts$/m.exec(
    readFileSync(new URL('../../Procfile', import.meta.url), 'utf8'),
  )?.[1] ?? ''
)
  .split(' ')
  .filter(Boolean)
