/* Stands in for the header of espressif/esp_peer 1.x. */
#pragma once
#include "esp_peer.h"
const esp_peer_ops_t *esp_peer_get_default_impl(void);
