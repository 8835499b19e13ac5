/** The most that Express with this validation can answer: nothing is stored. */
import { startPlainWeb } from './plain_web.ts'

startPlainWeb(async () => {})
