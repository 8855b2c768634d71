"""The model server: replicas on one inherited socket, two REST protocols in front of one TensorFlow thread each."""
