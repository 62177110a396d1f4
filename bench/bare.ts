// The baseline of the ping benchmark: one Fastify route that answers `OK` at the same address and does nothing.

import Fastify from 'fastify'

const app = Fastify()
app.get('/ping/:id', (_request, reply) => {
  reply.send('OK')
})
console.log(JSON.stringify({ url: await app.listen({ host: '127.0.0.1', port: 0 }) }))
process.once('SIGTERM', () => process.exit(0))
