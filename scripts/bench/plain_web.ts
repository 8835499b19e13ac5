/** A webhook that checks what Ringback checks, by the very same functions, and stores as it is told. */
import express from 'express'
import { sha256 } from '../../app/crypto.ts'
import { readBody } from '../../app/voicenter/parse.ts'
import { type ValidCdr, partition } from '../../app/voicenter/ingest.ts'
import { readRawBody } from '../../app/web/raw_body.ts'

const OK = { Err: 0, Errdesc: 'OK' }

/** @param store resolves once the record is stored; only then does its sender hear so */
export const startPlainWeb = (store: (record: ValidCdr) => Promise<void>): void => {
  // One business and one token: what its look-up costs, these are spared.
  const known = sha256(process.env['TOKEN'] ?? '')
  const app = express()
  app.disable('x-powered-by')
  app.set('etag', false)
  app.post(
    '/webhooks/voicenter/cdr',
    (req, res, next) => {
      const token = new URLSearchParams(req.url.split(/\?(.*)/s)[1]).get('token') ?? ''
      if (sha256(token).equals(known)) next()
      else res.status(401).json({ Err: 1, Errdesc: 'wrong or missing token' })
    },
    readRawBody({ limitMb: 5, roomMb: 8 }),
    async (req, res) => {
      const body = readBody(Buffer.isBuffer(req.body) ? req.body : Buffer.alloc(0))
      const elements = 'elements' in body ? body.elements : []
      const { good, bad } = partition(elements)
      if (good.length === 0 || bad.length) {
        res.status(400).json({ Err: 1, Errdesc: 'no call record' })
        return
      }
      for (const record of good) await store(record)
      res.json(OK)
    },
  )
  const server = app.listen(Number(process.env['PORT']), '127.0.0.1', () => {
    const address = server.address()
    console.log(`listening ${address && typeof address === 'object' ? address.port : ''}`)
  })
  process.once('SIGTERM', () => {
    server.close(() => process.exit(0))
    server.closeAllConnections()
  })
}
