// SPDX-License-Identifier: Apache-2.0
/* limpet network connect and disconnect. */
#pragma once

int cli_network_connect(int argc, char **argv);
int cli_network_disconnect(int argc, char **argv);
