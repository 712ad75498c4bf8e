"""Kommo and amoCRM: `tree` takes bodies apart, `wire` reads them into the platform's own records, `client`
makes the calls and gives their failures meaning, `port` is the CRM as `features/crm` asks for it.
"""
