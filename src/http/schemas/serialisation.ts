// A serialiser is created when the first answer needs it. There are 270, and a process uses few of them: creating all
// at the start would take 4 MB and 0.3 s.

import SerializerSelector from '@fastify/fast-json-stringify-compiler'

type Build = ReturnType<typeof SerializerSelector>

const build = SerializerSelector()

export const buildSerializer: Build = (sharedSchemas, options) => {
  const compile = build(sharedSchemas, options)
  return (route) => {
    let serialise: ReturnType<typeof compile> | undefined
    return (answer) => {
      serialise ??= compile(route)
      return serialise(answer)
    }
  }
}
