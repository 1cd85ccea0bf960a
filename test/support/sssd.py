"""SSSD's InfoPipe as far as a certificate mapper needs it: sssd-ifp(5), on the bus that DBUS_SYSTEM_BUS_ADDRESS names. The users are PEM files NAME.pem in a folder."""
import pathlib
import sys

import dbus
import dbus.mainloop.glib
import dbus.service
from gi.repository import GLib

ROOT = '/org/freedesktop/sssd/infopipe'
IFP = 'org.freedesktop.sssd.infopipe'
folder = pathlib.Path(sys.argv[1])


class NotFound(dbus.DBusException):
    _dbus_error_name = 'org.freedesktop.sssd.Error.NotFound'


class Ambiguous(dbus.DBusException):
    _dbus_error_name = 'org.freedesktop.DBus.Error.InvalidArgs'


def base64_of(pem):
    return ''.join(line for line in pem.split('\n') if '-----' not in line)


class User(dbus.service.Object):
    def __init__(self, bus, path, name, uid):
        super().__init__(bus, path)
        self.facts = {'name': dbus.String(name), 'uidNumber': dbus.UInt32(uid)}

    @dbus.service.method('org.freedesktop.DBus.Properties', in_signature='ss', out_signature='v')
    def Get(self, interface, name):
        assert interface == IFP + '.Users.User', interface
        return self.facts[name]


class Users(dbus.service.Object):
    @dbus.service.method(IFP + '.Users', in_signature='s', out_signature='o')
    def FindByCertificate(self, pem):
        assert pem.startswith('-----BEGIN CERTIFICATE-----'), 'SSSD takes PEM'
        found = [file.stem for file in sorted(folder.glob('*.pem')) if base64_of(file.read_text()) == base64_of(pem)]
        if not found:
            raise NotFound('User not found')
        if len(found) > 1:
            raise Ambiguous('More than one user found. Use ListByCertificate')
        path = '%s/Users/test/%d' % (ROOT, 1000 + len(found[0]))
        if path not in known:
            known[path] = User(bus, path, found[0], 1000 + len(found[0]))
        return dbus.ObjectPath(path)


class InfoPipe(dbus.service.Object):
    @dbus.service.method(IFP, in_signature='s', out_signature='as')
    def GetUserGroups(self, name):
        return dbus.Array([name, 'staff'], signature='s')


dbus.mainloop.glib.DBusGMainLoop(set_as_default=True)
bus = dbus.SystemBus()
known = {}
name = dbus.service.BusName(IFP, bus)
services = [InfoPipe(bus, ROOT), Users(bus, ROOT + '/Users')]
print('ready', flush=True)
GLib.MainLoop().run()
