return look(1)
