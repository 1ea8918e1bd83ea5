/* Stands in for the header of espressif/esp_peer 1.x: names and types of what esp32.md uses. */
#pragma once
#include <stdbool.h>
#include <stdint.h>

typedef void *esp_peer_handle_t;
typedef struct esp_peer_ops esp_peer_ops_t;

enum { ESP_PEER_ERR_NONE = 0, ESP_PEER_ERR_NO_MEM = -2 };
typedef enum { ESP_PEER_ROLE_CONTROLLING, ESP_PEER_ROLE_CONTROLLED } esp_peer_role_t;
typedef enum { ESP_PEER_VIDEO_CODEC_NONE, ESP_PEER_VIDEO_CODEC_H264 } esp_peer_video_codec_t;
typedef enum { ESP_PEER_MEDIA_DIR_NONE, ESP_PEER_MEDIA_DIR_SEND_ONLY } esp_peer_media_dir_t;
typedef enum { ESP_PEER_MSG_TYPE_NONE, ESP_PEER_MSG_TYPE_SDP, ESP_PEER_MSG_TYPE_CANDIDATE } esp_peer_msg_type_t;
typedef enum {
    ESP_PEER_STATE_CLOSED,
    ESP_PEER_STATE_DISCONNECTED,
    ESP_PEER_STATE_CONNECTING,
    ESP_PEER_STATE_CONNECTED,
    ESP_PEER_STATE_CONNECT_FAILED,
} esp_peer_state_t;

typedef struct {
    char *stun_url;
    char *user;
    char *psw;
} esp_peer_ice_server_cfg_t;

typedef struct {
    esp_peer_video_codec_t codec;
    int width;
    int height;
    int fps;
} esp_peer_video_stream_info_t;

typedef struct {
    uint32_t pts;
    uint8_t *data;
    int size;
} esp_peer_video_frame_t;

typedef struct {
    esp_peer_msg_type_t type;
    uint8_t *data;
    int size;
} esp_peer_msg_t;

typedef struct {
    esp_peer_ice_server_cfg_t *server_lists;
    uint8_t server_num;
    esp_peer_role_t role;
    esp_peer_video_stream_info_t video_info;
    esp_peer_media_dir_t audio_dir;
    esp_peer_media_dir_t video_dir;
    void *ctx;
    int (*on_state)(esp_peer_state_t state, void *ctx);
    int (*on_msg)(esp_peer_msg_t *info, void *ctx);
} esp_peer_cfg_t;

int esp_peer_open(esp_peer_cfg_t *cfg, const esp_peer_ops_t *ops, esp_peer_handle_t *peer);
int esp_peer_new_connection(esp_peer_handle_t peer);
int esp_peer_send_msg(esp_peer_handle_t peer, esp_peer_msg_t *msg);
int esp_peer_send_video(esp_peer_handle_t peer, esp_peer_video_frame_t *frame);
int esp_peer_main_loop(esp_peer_handle_t peer);
int esp_peer_close(esp_peer_handle_t peer);
