import torch
from multitask.model.vision_ops import timm
n=0
for nm in ("gemma4_vit_167m","mobilenetv5_base"):
    m=timm.create_model(nm,num_classes=0,**({"depth":1,"embed_dim":48,"num_heads":3} if "gemma" in nm else {}))
    bad=[k for k,v in m.state_dict().items() if v.is_floating_point() and not v.isfinite().all()]
    print(nm,len(bad),bad[:6],[m.state_dict()[k] for k in bad[:2]])
