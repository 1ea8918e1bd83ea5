/* Stands in for FreeRTOS's header. */
#pragma once
#include "FreeRTOS.h"
typedef struct task *TaskHandle_t;
BaseType_t xTaskCreate(void (*run)(void *), const char *name, uint32_t stack, void *ctx, unsigned priority, TaskHandle_t *task);
