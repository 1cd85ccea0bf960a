#!/usr/bin/env node
/**
 * A certificate-mapping plugin that asks SSSD (1.13 or later, service `ifp`, this user in `allowed_uids`) over D-Bus:
 *
 *   node plugins/certmap-sss.js --socket /run/docker/plugins/sss.sock
 *
 * SSSD's own rules say whose a certificate is (sss-certmap(5)). The bus is the system's; DBUS_SYSTEM_BUS_ADDRESS names another.
 */
import dbus from 'dbus-native'
import { readOptions, serveCertmap } from './certmap-server.js'

const SERVICE = 'org.freedesktop.sssd.infopipe'
const USERS = '/org/freedesktop/sssd/infopipe/Users'
const USER = 'org.freedesktop.sssd.infopipe.Users.User'
const TIMEOUT = 1500

/** What SSSD says where nobody has the certificate. Where several have it, that is a mistake in the directory, and an error here. */
const NOT_FOUND = /not ?found|no such file/i

const values = readOptions(['socket'], 'certmap-sss.js --socket PATH')

let bus
/** A bus that was lost is connected to again with the next question. */
function connected() {
  if (bus) return bus
  const opened = dbus.systemBus({ timeout: TIMEOUT })
  const lost = () => {
    if (bus === opened) bus = undefined
  }
  opened.connection.on('error', lost)
  opened.connection.on('end', lost)
  bus = opened
  return opened
}

function call(path, iface, member, signature, body) {
  return connected().invoke({ destination: SERVICE, path, interface: iface, member, signature, body })
}

function property(path, name) {
  return call(path, 'org.freedesktop.DBus.Properties', 'Get', 'ss', [USER, name])
}

async function find(certificate) {
  let path
  try {
    path = await call(USERS, 'org.freedesktop.sssd.infopipe.Users', 'FindByCertificate', 's', [certificate.toString()])
  } catch (error) {
    if (NOT_FOUND.test(`${error.dbusName} ${error.message}`)) return undefined
    throw error
  }
  const name = String(await property(path, 'name'))
  const uid = Number(await property(path, 'uidNumber'))
  const groups = await call('/org/freedesktop/sssd/infopipe', SERVICE, 'GetUserGroups', 's', [name])
  return { name, uid, groups: groups.map(String) }
}

await serveCertmap(values.socket, find)
