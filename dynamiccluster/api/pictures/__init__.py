"""The read model as documents. Pure: the same picture and instant give the same documents."""
