import { readFile } from 'node:fs/promises'
import { Router } from 'express'

/** Three small files, read once. Their address never changes, so a browser asks for them again every hour. */
const FILES = { 'style.css': 'text/css', 'live.js': 'text/javascript', 'icon.svg': 'image/svg+xml' }

export const files = Router()

for (const [name, type] of Object.entries(FILES)) {
  const content = await readFile(new URL(`static/${name}`, import.meta.url))
  files.get(`/${name}`, (_req, res) => {
    res.type(type).set('Cache-Control', 'public, max-age=3600').send(content)
  })
}
