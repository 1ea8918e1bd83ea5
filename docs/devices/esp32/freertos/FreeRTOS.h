/* Stands in for FreeRTOS's header. */
#pragma once
#include <stdint.h>
typedef int BaseType_t;
typedef uint32_t TickType_t;
#define pdTRUE 1
#define pdMS_TO_TICKS(milliseconds) ((TickType_t)(milliseconds))
