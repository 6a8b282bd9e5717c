import Fastify from 'fastify'

/* What Fastify alone does: one route, no hooks, no keys, no log. Prints its port, ends with its parent's pipe. */
const app = Fastify()
app.get('/health', async () => ({ status: 'ok' }))
await app.listen({ host: '127.0.0.1', port: 0 })
const address = app.server.address()
console.log(typeof address === 'object' ? address?.port : address)
process.stdin.resume().on('end', () => process.exit(0))
