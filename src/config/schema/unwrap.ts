import * as z from 'zod'

/** The schema beneath "optional" and "default", and the default as a user would write it. */
export function unwrap(schema: z.ZodType): { inner: z.ZodType; fallback: unknown } {
  if (schema instanceof z.ZodPrefault) return { inner: schema.unwrap() as z.ZodType, fallback: schema.def.defaultValue }
  if (schema instanceof z.ZodOptional) return { inner: schema.unwrap() as z.ZodType, fallback: undefined }
  return { inner: schema, fallback: undefined }
}
