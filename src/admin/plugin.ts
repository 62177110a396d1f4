import fp from 'fastify-plugin'

/** What the process offers to its operator; `shutdown` takes the same path as a signal. */
export const adminPlugin = fp<{ shutdown: () => void }>(
  async (app, { shutdown }) => {
    app.post('/admin/shutdown', { config: { access: 'admin', always: true } }, async (request, reply) => {
      request.log.info({ event: 'admin.shutdown' }, 'shutdown requested')
      // Answered first: the answer is the last thing that this connection carries.
      reply.raw.once('finish', shutdown)
      return reply.code(202).send({ status: 'shutting down' })
    })
  },
  { name: 'admin', dependencies: ['auth', 'lifecycle'] },
)
