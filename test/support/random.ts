/** fast-check, which makes what is as long as `maxLength` allows. By itself it makes ten members at most, however many a test allows. */
import fc from 'fast-check'

fc.configureGlobal({ defaultSizeToMaxWhenMaxSpecified: true })

export { default } from 'fast-check'
