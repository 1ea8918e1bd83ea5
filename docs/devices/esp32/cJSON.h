/* Stands in for cJSON's header: what esp32.md uses of it, for compiling it without ESP-IDF. */
#pragma once
#include <stdbool.h>

typedef struct cJSON {
    struct cJSON *next;
    struct cJSON *child;
    char *valuestring;
} cJSON;

cJSON *cJSON_Parse(const char *text);
char *cJSON_PrintUnformatted(const cJSON *item);
void cJSON_Delete(cJSON *item);
void cJSON_free(void *memory);
cJSON *cJSON_CreateObject(void);
cJSON *cJSON_AddObjectToObject(cJSON *object, const char *name);
cJSON *cJSON_AddStringToObject(cJSON *object, const char *name, const char *text);
cJSON *cJSON_AddNumberToObject(cJSON *object, const char *name, double number);
cJSON *cJSON_GetObjectItemCaseSensitive(const cJSON *object, const char *name);
cJSON *cJSON_GetArrayItem(const cJSON *array, int index);
bool cJSON_IsString(const cJSON *item);

#define cJSON_ArrayForEach(item, array) \
    for ((item) = (array) != NULL ? (array)->child : NULL; (item) != NULL; (item) = (item)->next)
